"""Warm-ups without effect: the executor's own cache, the varied tag, and keys still missing."""

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import (
    OURS,
    MachineDriver,
    dests,
    driver_in,
    succeeded,
)

S, R = State, Reason


# The executor's own cache, and the varied tag that bypasses it.


def warm_from_cache(
    driver: MachineDriver, prompt_id: str, *, varied_tag: bool = False, workflow: str = "cache_models"
) -> None:
    """Run a warm-up that succeeds without running its cache nodes."""
    driver.warm(prompt_id, varied_tag=varied_tag, workflow=workflow)
    driver.apply(e.PromptCached(prompt_id, ("10", "20", "11", "21")), succeeded(prompt_id))


def test_success_from_executor_cache_is_retried_with_varied_tag() -> None:
    driver = driver_in(S.COLD)
    warm_from_cache(driver, "p1")
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.CACHED_WITHOUT_LOADING)
    assert driver.server.cached_by_executor
    driver.warm("p2", varied_tag=True)
    assert not driver.server.cached_by_executor
    driver.apply(e.PromptCached("p2", ("10", "11")), succeeded("p2"))
    assert dests(driver, driver.answer()) == [S.LOADED]
    assert not driver.server.cached_by_executor


def test_varied_tag_without_effect_fails() -> None:
    driver = driver_in(S.COLD)
    warm_from_cache(driver, "p1")
    driver.apply(driver.answer("k1"))
    warm_from_cache(driver, "p2", varied_tag=True)
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.FAILED, R.CACHED_WITHOUT_LOADING)


def test_varied_tag_is_tried_again_after_backoff() -> None:
    driver = driver_in(S.COLD)
    warm_from_cache(driver, "p1")
    driver.apply(driver.answer("k1"))
    warm_from_cache(driver, "p2", varied_tag=True)
    driver.apply(driver.answer("k1"), e.RetryDue())
    driver.check("k1")
    warm_from_cache(driver, "p3")
    assert dests(driver, driver.answer("k1")) == [S.COLD]


def test_varied_tag_is_tried_for_each_workflow() -> None:
    driver = MachineDriver()
    driver.check("k1", needed=("a", "b"))
    warm_from_cache(driver, "p1", workflow="a")
    driver.apply(driver.answer("k1", "kb", needed=("a", "b")))
    driver.warm("p2", varied_tag=True, workflow="a")
    driver.apply(succeeded("p2"), driver.answer("k2", needed=("b",)))
    assert driver.state is S.COLD
    warm_from_cache(driver, "p3", workflow="b")
    (one,) = driver.apply(driver.answer("k2", needed=("b",)))
    assert (one.dest, one.reason) == (S.COLD, R.CACHED_WITHOUT_LOADING)


def test_cached_nodes_of_present_keys_do_not_vary_tag() -> None:
    driver = driver_in(S.COLD)
    driver.warm()
    driver.apply(e.PromptCached(OURS, ("20",)), succeeded())
    (one,) = driver.apply(driver.answer("k2"))
    assert one.reason is R.STILL_COLD_AFTER_SUCCESS


def test_cached_nodes_missed_in_frames_are_read_from_history() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(e.PromptSucceeded(OURS, Source.HISTORY, ("20", "21")))
    (one,) = driver.apply(driver.answer("k1"))
    assert one.reason is R.CACHED_WITHOUT_LOADING


# Still cold after a success that ran the nodes.


def test_still_cold_after_second_success_fails() -> None:
    driver = driver_in(S.COLD)
    driver.warm("p1")
    driver.apply(succeeded("p1"))
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.STILL_COLD_AFTER_SUCCESS)
    driver.warm("p2")
    driver.apply(succeeded("p2"))
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.FAILED, R.STILL_COLD_AFTER_SUCCESS)


def test_repeated_check_counts_ineffective_warm_up_once() -> None:
    driver = driver_in(S.COLD)
    driver.warm()
    driver.apply(succeeded(), driver.answer("k1"))
    driver.apply(driver.answer("k1"), driver.answer("k1"))
    assert driver.server.failures == 1
    driver.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=False))
    driver.check("k1")
    assert driver.state is S.COLD


def test_unrecognised_checks_are_not_ineffective_warm_ups() -> None:
    driver = MachineDriver()
    for _ in range(3):
        driver.apply(e.CheckStarted(), e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?")))
    driver.check("k1")
    driver.warm()
    driver.apply(succeeded(), driver.answer("k1"))
    assert driver.state is S.COLD


def test_other_workflow_needed_is_not_still_cold() -> None:
    driver = MachineDriver()
    driver.check("k1", "x", needed=("a", "b"))
    driver.warm(workflow="a")
    driver.apply(succeeded())
    (one,) = driver.apply(driver.answer("x", needed=("b",)))
    assert (one.dest, one.reason) == (S.COLD, R.KEYS_MISSING)
