"""What is known now: the newest view of each server, and how many stand where."""

import pytest

from statemachine.core.view import LiveFigures, ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.server_detail import ServerDetail
from statemachine.publish.snapshot import Snapshot


def view(name: str, state: State = State.UNKNOWN) -> ServerView:
    return ServerView(name, f"http://{name}", "default", state, 0.0, Reason.DAEMON_STARTED, "")


def test_every_server_is_counted_where_it_stands_now() -> None:
    snapshot = Snapshot()
    for name in ("c", "a", "b"):
        snapshot.put(view(name))
    assert snapshot.states == {State.UNKNOWN: 3}
    snapshot.put(view("a", State.LOADED))
    snapshot.put(view("b", State.LOADED))
    snapshot.put(view("b", State.COLD))
    assert snapshot.states == {State.UNKNOWN: 1, State.LOADED: 1, State.COLD: 1}
    assert len(snapshot) == 3
    assert [one.name for one in snapshot] == ["c", "a", "b"]


def test_views_are_found_by_name() -> None:
    snapshot = Snapshot()
    snapshot.put(one := view("a"))
    assert snapshot.get("a") is one
    assert snapshot.get("b") is None


LIVE = LiveFigures(progress=None, queue_remaining=2, last_check=5.0)


def test_live_figures_are_in_the_view_of_whoever_looks_next() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.put(other := view("b", State.LOADED))
    assert snapshot.update("a", State.LOADED, LIVE)
    assert [one.live for one in snapshot] == [LIVE, other.live]
    assert snapshot.get("a") == view("a", State.LOADED)._replace(queue_remaining=2, last_check=5.0)
    assert snapshot.get("b") is other


def test_live_figures_that_are_known_change_nothing() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    assert snapshot.update("a", State.LOADED, LIVE)
    before = snapshot.changes
    assert not snapshot.update("a", State.LOADED, LIVE)
    assert snapshot.get("a") is snapshot.get("a")
    assert not snapshot.update("a", State.LOADED, LIVE)
    assert snapshot.changes == before


def test_live_figures_of_another_state_are_not_shown() -> None:
    snapshot = Snapshot()
    snapshot.put(one := view("a", State.LOADED))
    assert not snapshot.update("a", State.COLD, LIVE)
    assert not snapshot.update("b", State.LOADED, LIVE)
    assert list(snapshot) == [one]


def test_a_new_view_is_not_overtaken_by_older_figures() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.update("a", State.LOADED, LIVE)
    snapshot.put(newer := view("a", State.COLD))
    assert snapshot.get("a") is newer


def test_figures_of_a_forgotten_server_are_forgotten() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.update("a", State.LOADED, LIVE)
    snapshot.set_order([])
    assert list(snapshot) == []


def test_a_reader_who_is_under_way_is_not_disturbed() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a"))
    snapshot.put(view("b"))
    for one in snapshot:
        snapshot.put(view(f"{one.name}2"))
    assert len(snapshot) == 4


def test_a_detail_is_shared_with_its_owner_and_empty_for_others() -> None:
    snapshot = Snapshot()
    detail = ServerDetail()
    snapshot.attach("a", detail)
    detail.count("checks")
    detail.count("checks")
    assert snapshot.detail("a").counters == {"checks": 2}
    assert snapshot.detail("b") == ServerDetail()


VERDICTLESS = {State.UNKNOWN, State.CHECKING, State.LOADED, State.COLD, State.AUTO_EXECUTING}


@pytest.mark.parametrize("state", State)
def test_readiness_waits_for_a_first_verdict_about_every_server(state: State) -> None:
    snapshot = Snapshot()
    assert not snapshot.has_first_verdicts, "the daemon has not placed its servers yet"
    snapshot.put(view("a")._replace(last_check=5.0))
    assert snapshot.has_first_verdicts
    snapshot.put(view("b", state))
    assert snapshot.has_first_verdicts is (state not in VERDICTLESS)


def test_a_server_that_is_taken_out_is_not_waited_for() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a")._replace(last_check=5.0))
    snapshot.put(view("b"))
    snapshot.set_order(["a"])
    assert snapshot.has_first_verdicts
    snapshot.put(view("a"))
    assert not snapshot.has_first_verdicts, "it is another server of the same name"


@pytest.mark.parametrize("state", State)
def test_traffic_may_be_sent_only_to_a_loaded_server(state: State) -> None:
    assert view("a", state).cache_loaded is (state is State.LOADED)
