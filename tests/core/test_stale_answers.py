"""Changes that make a check's answer stale."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, State
from tests.core.builders import (
    MachineDriver,
    accepted,
    dests,
    driver_in,
    queue,
    succeeded,
)

S, R = State, Reason


@pytest.mark.parametrize(
    "changes",
    [
        [e.LinkLost(verbatim("closed"))],
        [e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=False)],
        [queue(2), queue(1)],
        [e.CheckRequested()],
        [e.WarmRequested()],
    ],
)
def test_check_answer_older_than_change_is_ignored(changes: list[e.Event]) -> None:
    driver = MachineDriver()
    driver.apply(e.LinkOpened("c1", refused_before=False), e.CheckStarted())
    answer = driver.answer()
    driver.apply(*changes)
    assert not driver.apply(answer)
    assert driver.state is S.CHECKING
    assert dests(driver, driver.answer()) == [S.LOADED]


def test_check_answer_older_than_a_late_first_connection_is_ignored() -> None:
    driver = driver_in(S.CHECKING)
    answer = driver.answer()
    assert not driver.apply(e.LinkOpened("c1", refused_before=False, failed_before=True), answer)
    assert dests(driver, driver.answer()) == [S.LOADED]


def test_stale_answer_auto_executing_is_applied() -> None:
    """Another check would start the server's workflow a second time."""
    driver = driver_in(S.CHECKING)
    answer = driver.answer("k1", auto=True)
    driver.apply(queue(2), queue(1))
    assert dests(driver, answer) == [S.AUTO_EXECUTING]
    assert driver.server.missing == ("k1",)


def test_queue_decrease_by_own_prompt_is_not_foreign_work() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(queue(1), succeeded())
    answer = driver.answer()
    assert not driver.apply(queue(0))
    assert dests(driver, answer) == [S.LOADED]


def test_queue_decrease_beyond_own_prompt_is_foreign_work() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(queue(3), succeeded(), queue(2))
    answer = driver.answer()
    driver.apply(queue(1))
    assert not driver.apply(answer)


def test_queue_decrease_after_early_end_is_foreign_work() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(queue(2), succeeded(), queue(1), accepted())
    assert driver.state is S.CHECKING
    answer = driver.answer()
    driver.apply(queue(0))
    assert not driver.apply(answer)


def test_first_queue_length_of_new_link_is_not_a_decrease() -> None:
    driver = MachineDriver()
    driver.apply(e.LinkOpened("c1", refused_before=False), queue(5), e.LinkLost(verbatim("closed")))
    driver.apply(e.LinkOpened("c2", refused_before=False), e.CheckStarted())
    answer = driver.answer()
    driver.apply(queue(1))
    assert dests(driver, answer) == [S.LOADED]


def test_loaded_server_with_growing_queue_stays_loaded() -> None:
    driver = driver_in(S.LOADED)
    assert not driver.apply(queue(0), queue(1), driver.answer(), queue(4), driver.answer())


def test_lost_prompt_makes_pending_answer_stale() -> None:
    driver = driver_in(S.WARMING)
    answer = driver.answer()
    driver.apply(e.PromptAbsent(R.SERVER_RESTARTED, verbatim("gone")), e.CheckStarted())
    assert not driver.apply(answer)
