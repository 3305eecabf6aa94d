"""Frames of a companion node, on servers whose last check it answered."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.builders import MachineDriver, accepted, cache_frame, submission

S, R, W = State, Reason, Source
LINK = e.LinkOpened("c1", refused_before=False)
LOST = e.LinkLost(verbatim("closed"))
CHANGES = {
    "one key lost": [cache_frame("k1", sequence=6)],
    "all keys lost": [cache_frame(sequence=6)],
    "lost frame": [cache_frame("k1", "k2", sequence=7)],
    "lost later frame": [cache_frame("k1", "k2", sequence=6), cache_frame("k1", "k2", sequence=8)],
}
IRRELEVANT_FRAMES = {
    "key added": [cache_frame("k1", "k2", "k3", sequence=6)],
    "other models unloaded": [cache_frame("k1", "k2", sequence=6)],
    "older than the answer": [cache_frame(sequence=5), cache_frame(sequence=4)],
    "repeated frame": [cache_frame("k1", "k2", sequence=6), cache_frame(sequence=6)],
    "truncated list of keys": [cache_frame("k3", sequence=6, truncated=True)],
}


def driver_with_node(state: State) -> MachineDriver:
    """Return a server in `state` whose check was answered by the companion node."""
    driver = MachineDriver()
    driver.apply(LINK, e.CheckStarted())
    if state is S.LOADED:
        driver.apply(driver.node_answer())
    elif state in (S.COLD, S.AUTO_EXECUTING, S.SUBMITTING, S.WARMING):
        driver.apply(driver.node_answer("k2", auto=state is S.AUTO_EXECUTING))
    if state in (S.SUBMITTING, S.WARMING):
        driver.apply(submission())
    if state is S.WARMING:
        driver.apply(accepted())
    if state is S.FAILED:
        driver.apply(driver.node_answer("k2"), e.PreflightFailed(R.MISSING_NODES, verbatim("no such class")))
    assert driver.state is state
    return driver


def moves(driver: MachineDriver, *happened: e.Event) -> list[tuple[State, Reason, Source]]:
    return [(one.dest, one.reason, one.proved_by) for one in driver.apply(*happened)]


@pytest.mark.parametrize("name", CHANGES)
def test_cache_change_revokes_loaded_and_makes_answer_stale(name: str) -> None:
    driver = driver_with_node(S.LOADED)
    answer = driver.node_answer(sequence=9)
    assert moves(driver, *CHANGES[name]) == [(S.UNKNOWN, R.CACHE_CHANGED, W.WS)]
    assert moves(driver, e.CheckStarted(), answer) == [(S.CHECKING, R.CHECK_STARTED, W.DAEMON)]
    assert moves(driver, driver.node_answer("k2")) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]


@pytest.mark.parametrize("name", CHANGES)
def test_cache_change_before_answer_makes_answer_stale(name: str) -> None:
    driver = driver_with_node(S.LOADED)
    driver.apply(e.CheckRequested(), e.CheckStarted())
    answer = driver.node_answer()
    assert moves(driver, *CHANGES[name], answer) == []
    assert moves(driver, driver.node_answer()) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]


def test_frame_before_first_answer_makes_answer_stale() -> None:
    driver = MachineDriver()
    driver.apply(LINK, e.CheckStarted())
    answer = driver.node_answer()
    assert moves(driver, cache_frame("k1", sequence=6), answer) == []
    assert moves(driver, driver.node_answer("k2", sequence=6)) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]


@pytest.mark.parametrize("name", IRRELEVANT_FRAMES)
def test_irrelevant_frame_changes_nothing(name: str) -> None:
    driver = driver_with_node(S.LOADED)
    epoch = driver.server.epoch
    assert moves(driver, *IRRELEVANT_FRAMES[name]) == []
    assert driver.server.epoch == epoch


@pytest.mark.parametrize("state", [S.COLD, S.AUTO_EXECUTING])
def test_frame_with_all_missing_keys_triggers_check(state: State) -> None:
    driver = driver_with_node(state)
    assert moves(driver, cache_frame("k1", sequence=6)) == []
    assert moves(driver, cache_frame("k1", "k2", sequence=7)) == [(S.CHECKING, R.CACHE_CHANGED, W.WS)]
    assert moves(driver, driver.node_answer(sequence=7)) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]


def test_frame_does_not_affect_workflow_without_keys() -> None:
    driver = MachineDriver()
    driver.apply(LINK, e.CheckStarted())
    keyless = e.CheckAnswered("node", (), ("plain",), False, driver.server.epoch, e.NodeCursor("i1", 5, ()))
    assert moves(driver, keyless) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]
    assert moves(driver, cache_frame("k1", sequence=6)) == []


@pytest.mark.parametrize("state", [S.LOADED, S.COLD, S.AUTO_EXECUTING, S.FAILED])
def test_frame_of_other_instance_reports_restart(state: State) -> None:
    driver = driver_with_node(state)
    disconnect_count = driver.server.disconnect_count
    assert moves(driver, cache_frame("k1", "k2", sequence=1, instance="i2")) == [(S.UNKNOWN, R.SERVER_RESTARTED, W.WS)]
    assert driver.server.disconnect_count == disconnect_count + 1
    assert not driver.server.auto_executing
    assert moves(driver, cache_frame("k1", "k2", sequence=2, instance="i2")) == []


@pytest.mark.parametrize("state", [S.SUBMITTING, S.WARMING])
def test_frame_of_other_instance_keeps_prompt_in_flight(state: State) -> None:
    """The new instance may be the one that accepted the prompt, so it must be looked up."""
    driver = driver_with_node(state)
    assert moves(driver, cache_frame(sequence=1, instance="i2")) == []
    assert driver.attempt.is_open
    assert driver.attempt.instance == "i1"
    assert driver.server.was_away_during(driver.attempt)


def test_answer_of_other_instance_counts_restart() -> None:
    driver = driver_with_node(S.LOADED)
    driver.apply(e.CheckRequested(), e.CheckStarted())
    assert moves(driver, driver.node_answer("k1", instance="i2")) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]
    assert driver.server.disconnect_count == 1


def test_first_frame_of_connection_has_no_gap() -> None:
    driver = driver_with_node(S.LOADED)
    driver.apply(LOST, e.LinkOpened("c2", refused_before=False))
    epoch = driver.server.epoch
    assert moves(driver, cache_frame("k1", "k2", sequence=90)) == []
    assert driver.server.epoch == epoch
    assert moves(driver, cache_frame("k1", "k2", sequence=92)) == []
    assert driver.server.epoch == epoch + 1


def test_frame_before_answer_keeps_its_sequence() -> None:
    driver = driver_with_node(S.LOADED)
    driver.apply(e.CheckRequested(), e.CheckStarted())
    answer = driver.node_answer(sequence=5)
    driver.apply(cache_frame("k1", "k2", sequence=6))
    assert moves(driver, answer) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]
    assert moves(driver, cache_frame("k1", "k2", sequence=7)) == []


@pytest.mark.parametrize("kind", ["text", "inspire", "history"])
def test_frame_for_server_checked_otherwise_is_ignored(kind: str) -> None:
    driver = driver_with_node(S.LOADED)
    driver.apply(e.CheckRequested(), e.CheckStarted())
    driver.apply(e.CheckAnswered(kind, (), (), False, driver.server.epoch))
    assert moves(driver, cache_frame(sequence=6), cache_frame(sequence=1, instance="i2")) == []
    assert not driver.server.receives_changes


def test_server_receives_changes_only_with_link_and_full_frames() -> None:
    driver = driver_with_node(S.LOADED)
    assert driver.server.receives_changes
    driver.apply(cache_frame("k3", sequence=6, truncated=True))
    assert not driver.server.receives_changes
    driver.apply(cache_frame("k1", "k2", sequence=7, truncated=True))
    assert driver.server.receives_changes
    driver.apply(LOST)
    assert not driver.server.receives_changes


def test_cache_change_message_names_lost_keys() -> None:
    (gone,) = driver_with_node(S.LOADED).apply(cache_frame("k1", sequence=6))
    (gap,) = driver_with_node(S.LOADED).apply(cache_frame("k1", "k2", sequence=8))
    (there,) = driver_with_node(S.COLD).apply(cache_frame("k1", "k2", sequence=6))
    assert sentence(gone.message) == "the server reports that k2 is no longer cached"
    assert sentence(gap.message) == "the server reports that its cache has changed"
    assert sentence(there.message) == "the server reports that everything is cached"
