"""Models that other work keeps evicting: warm-ups at a falling rate, not a failure."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.repetition import SOON_S, Contention
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.builders import MachineDriver, dests, driver_in, queue, succeeded

S, R = State, Reason
LIMIT_S = 900.0


def load(driver: MachineDriver) -> None:
    """Warm a cold server and confirm that it is loaded."""
    driver.warm()
    driver.apply(succeeded())
    driver.apply(driver.answer())
    assert driver.state is S.LOADED


def evict(driver: MachineDriver, after_s: float = 1.0) -> Reason:
    """Let a check find a key missing; return the reason of the new state."""
    driver.now += after_s
    (one,) = driver.apply(driver.answer("k1"))
    assert one.dest is S.COLD
    return one.reason


def test_first_eviction_is_not_contested() -> None:
    driver = driver_in(S.LOADED)
    assert evict(driver) is R.KEYS_MISSING


def test_second_eviction_soon_after_loading_is_contested() -> None:
    driver = driver_in(S.LOADED)
    evict(driver)
    load(driver)
    assert evict(driver) is R.CONTESTED


def test_eviction_after_a_long_time_is_not_contested() -> None:
    driver = driver_in(S.LOADED)
    driver.apply(e.LinkOpened("client", refused_before=False))
    for _ in range(5):
        assert evict(driver, SOON_S + 10) is R.KEYS_MISSING
        load(driver)


def test_eviction_between_success_and_check_is_no_failure() -> None:
    driver = driver_in(S.COLD)
    for number in range(5):
        driver.warm()
        driver.apply(queue(2), succeeded(), queue(1), queue(0))
        (one,) = driver.apply(driver.answer("k1"))
        assert (one.dest, one.reason) == (S.COLD, R.CONTESTED if number else R.KEYS_MISSING)
    assert not driver.server.failures


def test_eviction_by_running_work_is_no_failure() -> None:
    driver = driver_in(S.COLD)
    for _ in range(5):
        driver.warm()
        driver.apply(queue(2), succeeded(), queue(1))
        assert dests(driver, driver.answer("k1")) == [S.COLD]
    assert driver.server.reason is R.CONTESTED


def test_eviction_that_history_shows_is_no_failure() -> None:
    driver = driver_in(S.COLD)
    for _ in range(5):
        driver.warm()
        answer = e.CheckAnswered("text", ("k1",), ("cache_models",), False, 99, evicted=True)
        (one,) = driver.apply(succeeded(), answer)[1:]
        assert one.dest is S.COLD
    assert driver.server.reason is R.CONTESTED


def test_frames_that_history_overtakes_are_no_foreign_work() -> None:
    """The history is read while the frames of a short prompt are on their way."""
    driver = driver_in(S.COLD)
    driver.warm()
    driver.apply(queue(1), succeeded(proved_by=Source.HISTORY), queue(1), succeeded(), queue(0))
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.STILL_COLD_AFTER_SUCCESS)


def test_foreign_work_after_success_in_history_is_seen() -> None:
    driver = driver_in(S.COLD)
    driver.warm()
    driver.apply(queue(2), succeeded(proved_by=Source.HISTORY), queue(1), queue(0))
    (one,) = driver.apply(driver.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.KEYS_MISSING)


@pytest.mark.parametrize("after_s", [1.0, 60.0])
def test_foreign_work_after_a_reconnect_is_not_our_own_prompt(after_s: float) -> None:
    """Our prompt left the queue while there was no connection."""
    driver = driver_in(S.COLD)
    driver.apply(e.LinkOpened("a", refused_before=False))
    driver.warm()
    driver.apply(queue(1), succeeded(), e.LinkLost(verbatim("closed")))
    driver.now += after_s
    driver.apply(e.LinkOpened("b", refused_before=False), *([queue(0)] if after_s < 10 else []), queue(1), queue(0))
    driver.apply(driver.answer("k1"))
    assert (driver.state, driver.server.failures) == (S.COLD, 0)


def test_success_without_effect_and_without_foreign_work_fails() -> None:
    driver = driver_in(S.COLD)
    driver.warm()
    driver.apply(queue(1), succeeded(), queue(0), driver.answer("k1"))
    driver.warm()
    assert dests(driver, succeeded(), driver.answer("k1")) == [S.CHECKING, S.FAILED]


def test_workflows_that_evict_each_other_are_contested() -> None:
    driver = driver_in(S.COLD)
    reasons = []
    for number in range(6):
        driver.warm(workflow=("one", "other")[number % 2])
        missing = ("other", "one")[number % 2]
        reasons += [t.reason for t in driver.apply(succeeded(), driver.answer("k1", needed=(missing,)))][1:]
    assert reasons == [R.KEYS_MISSING] * 3 + [R.CONTESTED, R.KEYS_MISSING, R.CONTESTED]


def test_workflow_that_a_repair_displaces_runs_without_a_pause() -> None:
    """Models of one workflow are lost soon, and its warm-up displaces the other's results: one loss each time."""
    driver = driver_in(S.LOADED)
    for losses in range(1, 5):
        driver.now += 1
        driver.server.failures = 3
        (cold,) = driver.apply(driver.answer("k1", needed=("one",)))
        driver.warm(workflow="one")
        displaced = driver.apply(succeeded(), driver.answer("k2", needed=("other",)))[-1]
        assert not driver.server.failures
        driver.warm(workflow="other")
        driver.apply(succeeded())
        driver.apply(driver.answer())
        assert (cold.reason, displaced.reason) == (R.KEYS_MISSING if losses == 1 else R.CONTESTED, R.KEYS_MISSING)
        assert (driver.server.contention.losses, driver.state) == (losses, S.LOADED)


def test_pause_follows_the_longest_warm_up_of_a_round() -> None:
    driver = driver_in(S.COLD)
    for workflow, seconds, needed in (("one", 40.0, ("other",)), ("other", 1.0, ())):
        driver.warm(workflow=workflow)
        driver.now += seconds
        driver.apply(succeeded())
        driver.apply(driver.answer(*needed, needed=needed))
    assert driver.server.contention.load_s >= 40.0
    evict(driver)
    driver.warm()
    driver.now += 3.0
    driver.apply(succeeded())
    assert 3.0 <= driver.server.contention.load_s < 40.0


def test_pause_between_workflows_does_not_end_contention() -> None:
    """The results of one workflow are there while the warm-up of the other one waits, but never both."""
    driver = driver_in(S.COLD)
    driver.apply(e.LinkOpened("client", refused_before=False))
    for number in range(6):
        driver.now += SOON_S + 10
        driver.warm(workflow=("one", "other")[number % 2])
        driver.apply(succeeded(), driver.answer("k1", needed=(("other", "one")[number % 2],)))
    assert driver.server.contention.losses == 3
    assert driver.server.reason is R.CONTESTED


RESTART = e.LinkOpened("c", refused_before=True)
LOST_LINK = e.LinkLost(verbatim("closed"))
MISS, HIT = e.NotAnswering(verbatim("timed out")), e.Answering()
REFUSED = e.NotAnswering(verbatim("refused"), refused=True)


def test_restart_long_after_loading_is_not_contested() -> None:
    driver = driver_in(S.LOADED)
    for _ in range(4):
        driver.now += SOON_S + 10
        driver.apply(RESTART)
        assert driver.check("k1")[-1].reason is R.KEYS_MISSING
        load(driver)


@pytest.mark.parametrize(
    "end",
    [[LOST_LINK, RESTART], [LOST_LINK, MISS, MISS, MISS, HIT, HIT], [REFUSED, HIT, e.CheckRequested()]],
    ids=["restart", "unreachable", "without /ws"],
)
def test_process_that_ends_soon_after_loading_is_contested(end: list[e.Event]) -> None:
    """The process takes longer to start than the models may stay; it is not the time of its end."""
    driver = driver_in(S.LOADED)
    cold = []
    for _ in range(4):
        driver.apply(end[0])
        driver.now += 2 * SOON_S
        driver.apply(*end[1:])
        cold.append(driver.check("k1")[-1])
        load(driver)
    assert [one.reason for one in cold] == [R.KEYS_MISSING, R.CONTESTED, R.CONTESTED, R.CONTESTED]
    assert "process" in sentence(cold[-1].message)
    assert not driver.server.streak.count


def test_server_that_loads_itself_after_its_restart_was_loaded_then() -> None:
    driver = driver_in(S.LOADED)
    driver.now += SOON_S
    driver.apply(RESTART)
    driver.check()
    driver.now += 10
    assert driver.server.loaded_at is not None
    assert driver.now - driver.server.loaded_at < SOON_S


@pytest.mark.parametrize("checks", [0, 9])
def test_eviction_without_frames_is_dated_by_the_check_before(checks: int) -> None:
    """Without /ws an eviction is found by the next check, up to an interval later."""
    driver = driver_in(S.LOADED)
    reasons = []
    for _ in range(3):
        for _ in range(checks):
            driver.now += SOON_S
            driver.apply(driver.answer())
        reasons.append(evict(driver, SOON_S + 5))
        load(driver)
    assert driver.server.client_id is None
    assert reasons[-1] is (R.CONTESTED if not checks else R.KEYS_MISSING)


def test_own_loading_that_does_not_stay_delays_the_check() -> None:
    driver = driver_in(S.LOADED)
    for loss in range(3):
        assert driver.server.contention.delays_check is (loss > 1)
        driver.apply(e.LinkOpened("c", refused_before=False), queue(1), queue(0))
        driver.check("k1", auto=True)
        driver.apply(e.QueueDrained(), driver.answer())
        assert driver.state is S.LOADED
    driver.apply(queue(1), queue(0))
    (one,) = driver.apply(e.CheckPostponed())
    assert (one.source, one.dest, one.reason) == (S.UNKNOWN, S.UNKNOWN, R.CONTESTED)
    driver.check("k1")
    assert not driver.server.contention.delays_check


@pytest.mark.parametrize("event", [e.WarmRequested(), e.SettingsChanged()])
def test_operator_ends_contention(event: e.Event) -> None:
    driver = driver_in(S.LOADED)
    evict(driver)
    load(driver)
    evict(driver)
    driver.apply(event)
    assert driver.check("k1")[-1].reason is R.KEYS_MISSING


def test_pause_grows_with_each_loss_up_to_the_limit() -> None:
    contention, pauses = Contention(load_s=5.0), []
    for _ in range(20):
        contention = contention.after_loss(1.0)
        pauses.append(contention.pause_s(2.0, LIMIT_S, lambda: 1.0) if contention.is_contested else 0.0)
    assert pauses[:4] == [0.0, 10.0, 20.0, 40.0]
    assert pauses[-1] == LIMIT_S


def test_models_that_stay_end_the_pauses() -> None:
    contention = Contention(losses=9, load_s=5.0, waiting=True)
    assert not contention.after_loss(SOON_S + 1).is_contested
    assert contention.after_loss(SOON_S - 1).is_contested
