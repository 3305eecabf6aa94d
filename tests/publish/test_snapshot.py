"""What is known now: the newest view of each server, and how many stand where."""

import pytest

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.view import ServerDetail


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
    snapshot.arrange(["a"])
    assert snapshot.has_first_verdicts
    snapshot.put(view("a"))
    assert not snapshot.has_first_verdicts, "it is another server of the same name"


@pytest.mark.parametrize("state", State)
def test_traffic_may_be_sent_only_to_a_loaded_server(state: State) -> None:
    assert view("a", state).cache_loaded is (state is State.LOADED)
