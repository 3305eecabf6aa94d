"""What a companion node's frames do: evidence and hints, on servers that it was judged by."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.bench import Bench, accepted, cache_frame, submission

S, R, W = State, Reason, Source
LINK = e.LinkOpened("c1", refused_before=False)
LOST = e.LinkLost(verbatim("closed"))
EVIDENCE = {
    "a key has gone": [cache_frame("k1", sequence=6)],
    "all has gone": [cache_frame(sequence=6)],
    "a frame was lost": [cache_frame("k1", "k2", sequence=7)],
    "a later frame was lost": [cache_frame("k1", "k2", sequence=6), cache_frame("k1", "k2", sequence=8)],
}
NO_EVIDENCE = {
    "another key has come": [cache_frame("k1", "k2", "k3", sequence=6)],
    "other models were unloaded": [cache_frame("k1", "k2", sequence=6)],
    "older than the answer": [cache_frame(sequence=5), cache_frame(sequence=4)],
    "told twice": [cache_frame("k1", "k2", sequence=6), cache_frame(sequence=6)],
    "too many keys to tell": [cache_frame("k3", sequence=6, truncated=True)],
}


def bench_by_node(state: State) -> Bench:
    """A server that the companion node was asked about."""
    bench = Bench()
    bench.apply(LINK, e.CheckStarted())
    if state is S.LOADED:
        bench.apply(bench.node_answer())
    elif state in (S.COLD, S.AUTO_EXECUTING, S.SUBMITTING, S.WARMING):
        bench.apply(bench.node_answer("k2", auto=state is S.AUTO_EXECUTING))
    if state in (S.SUBMITTING, S.WARMING):
        bench.apply(submission())
    if state is S.WARMING:
        bench.apply(accepted())
    if state is S.FAILED:
        bench.apply(bench.node_answer("k2"), e.PreflightFailed(R.MISSING_NODES, verbatim("no such class")))
    assert bench.state is state
    return bench


def led(bench: Bench, *happened: e.Event) -> list[tuple[State, Reason, Source]]:
    return [(one.dest, one.reason, one.proved_by) for one in bench.apply(*happened)]


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_takes_loaded_back_and_an_answer_asked_before_it_proves_nothing(name: str) -> None:
    bench = bench_by_node(S.LOADED)
    answer = bench.node_answer(sequence=9)
    assert led(bench, *EVIDENCE[name]) == [(S.UNKNOWN, R.CACHE_CHANGED, W.WS)]
    assert led(bench, e.CheckStarted(), answer) == [(S.CHECKING, R.CHECK_STARTED, W.DAEMON)]
    assert led(bench, bench.node_answer("k2")) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_that_overtakes_an_answer_makes_it_stale(name: str) -> None:
    bench = bench_by_node(S.LOADED)
    bench.apply(e.CheckRequested(), e.CheckStarted())
    answer = bench.node_answer()
    assert led(bench, *EVIDENCE[name], answer) == []
    assert led(bench, bench.node_answer()) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]


def test_a_frame_that_overtakes_the_very_first_answer_makes_it_stale() -> None:
    bench = Bench()
    bench.apply(LINK, e.CheckStarted())
    answer = bench.node_answer()
    assert led(bench, cache_frame("k1", sequence=6), answer) == []
    assert led(bench, bench.node_answer("k2", sequence=6)) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]


@pytest.mark.parametrize("name", NO_EVIDENCE)
def test_what_concerns_nothing_that_was_asked_for_changes_nothing(name: str) -> None:
    bench = bench_by_node(S.LOADED)
    epoch = bench.server.epoch
    assert led(bench, *NO_EVIDENCE[name]) == []
    assert bench.server.epoch == epoch


@pytest.mark.parametrize("state", [S.COLD, S.AUTO_EXECUTING])
def test_a_server_that_has_it_all_now_is_asked_at_once(state: State) -> None:
    bench = bench_by_node(state)
    assert led(bench, cache_frame("k1", sequence=6)) == []
    assert led(bench, cache_frame("k1", "k2", sequence=7)) == [(S.CHECKING, R.CACHE_CHANGED, W.WS)]
    assert led(bench, bench.node_answer(sequence=7)) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]


def test_a_workflow_without_keys_is_not_brought_by_keys() -> None:
    bench = Bench()
    bench.apply(LINK, e.CheckStarted())
    keyless = e.CheckAnswered("node", (), ("plain",), False, bench.server.epoch, e.NodeCursor("i1", 5, ()))
    assert led(bench, keyless) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]
    assert led(bench, cache_frame("k1", sequence=6)) == []


@pytest.mark.parametrize("state", [S.LOADED, S.COLD, S.AUTO_EXECUTING, S.FAILED])
def test_another_instance_is_another_life_of_the_server(state: State) -> None:
    bench = bench_by_node(state)
    disconnect_count = bench.server.disconnect_count
    assert led(bench, cache_frame("k1", "k2", sequence=1, instance="i2")) == [(S.UNKNOWN, R.SERVER_RESTARTED, W.WS)]
    assert bench.server.disconnect_count == disconnect_count + 1
    assert not bench.server.auto_executing
    assert led(bench, cache_frame("k1", "k2", sequence=2, instance="i2")) == []


@pytest.mark.parametrize("state", [S.SUBMITTING, S.WARMING])
def test_a_prompt_in_flight_is_not_given_up_for_a_frame(state: State) -> None:
    """Whether the new life has it must be looked up: it may be the one that took it."""
    bench = bench_by_node(state)
    assert led(bench, cache_frame(sequence=1, instance="i2")) == []
    assert bench.attempt.is_open
    assert bench.attempt.instance == "i1"
    assert bench.server.was_away_during(bench.attempt)


def test_an_answer_of_another_instance_tells_a_restart_too() -> None:
    bench = bench_by_node(S.LOADED)
    bench.apply(e.CheckRequested(), e.CheckStarted())
    assert led(bench, bench.node_answer("k1", instance="i2")) == [(S.COLD, R.KEYS_MISSING, W.CHECK)]
    assert bench.server.disconnect_count == 1


def test_the_first_frame_of_a_connection_has_nothing_to_compare_with() -> None:
    bench = bench_by_node(S.LOADED)
    bench.apply(LOST, e.LinkOpened("c2", refused_before=False))
    epoch = bench.server.epoch
    assert led(bench, cache_frame("k1", "k2", sequence=90)) == []
    assert bench.server.epoch == epoch
    assert led(bench, cache_frame("k1", "k2", sequence=92)) == []
    assert bench.server.epoch == epoch + 1


def test_frames_may_overtake_the_answer_and_what_they_told_is_not_told_again() -> None:
    bench = bench_by_node(S.LOADED)
    bench.apply(e.CheckRequested(), e.CheckStarted())
    answer = bench.node_answer(sequence=5)
    bench.apply(cache_frame("k1", "k2", sequence=6))
    assert led(bench, answer) == [(S.LOADED, R.ALL_CACHED, W.CHECK)]
    assert led(bench, cache_frame("k1", "k2", sequence=7)) == []


@pytest.mark.parametrize("kind", ["text", "inspire", "history"])
def test_servers_that_are_judged_otherwise_are_left_alone(kind: str) -> None:
    bench = bench_by_node(S.LOADED)
    bench.apply(e.CheckRequested(), e.CheckStarted())
    bench.apply(e.CheckAnswered(kind, (), (), False, bench.server.epoch))
    assert led(bench, cache_frame(sequence=6), cache_frame(sequence=1, instance="i2")) == []
    assert not bench.server.receives_changes


def test_a_server_receives_changes_only_while_its_link_stands_and_its_frames_tell_all() -> None:
    bench = bench_by_node(S.LOADED)
    assert bench.server.receives_changes
    bench.apply(cache_frame("k3", sequence=6, truncated=True))
    assert not bench.server.receives_changes
    bench.apply(cache_frame("k1", "k2", sequence=7, truncated=True))
    assert bench.server.receives_changes
    bench.apply(LOST)
    assert not bench.server.receives_changes


def test_the_sentence_names_what_is_gone() -> None:
    (gone,) = bench_by_node(S.LOADED).apply(cache_frame("k1", sequence=6))
    (gap,) = bench_by_node(S.LOADED).apply(cache_frame("k1", "k2", sequence=8))
    (there,) = bench_by_node(S.COLD).apply(cache_frame("k1", "k2", sequence=6))
    assert sentence(gone.message) == "the server reports that k2 is no longer cached"
    assert sentence(gap.message) == "the server reports that its cache has changed"
    assert sentence(there.message) == "the server reports that everything is cached"
