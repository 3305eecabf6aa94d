"""The snapshot: the latest view of each server and the number of servers in each state."""

import pytest

from statemachine.core.messages import NO_MESSAGE, message, verbatim
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import ServerDetail, Snapshot


def view(name: str, state: State = State.UNKNOWN) -> ServerView:
    return ServerView(name, f"http://{name}", "default", state, 0.0, Reason.DAEMON_STARTED, verbatim(""))


def test_snapshot_counts_servers_by_state() -> None:
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


def test_snapshot_get_returns_view_by_name() -> None:
    snapshot = Snapshot()
    snapshot.put(one := view("a"))
    assert snapshot.get("a") is one
    assert snapshot.get("b") is None


LIVE = LiveFigures(progress=None, queue_remaining=2, last_check=5.0)


def test_snapshot_update_is_in_next_view() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.put(other := view("b", State.LOADED))
    assert snapshot.update("a", State.LOADED, 0.0, LIVE)
    assert [one.live for one in snapshot] == [LIVE, other.live]
    assert snapshot.get("a") == view("a", State.LOADED)._replace(queue_remaining=2, last_check=5.0)
    assert snapshot.get("b") is other


def test_snapshot_update_with_same_figures_changes_nothing() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    assert snapshot.update("a", State.LOADED, 0.0, LIVE)
    before = snapshot.changes
    assert not snapshot.update("a", State.LOADED, 0.0, LIVE)
    assert snapshot.get("a") is snapshot.get("a")
    assert not snapshot.update("a", State.LOADED, 0.0, LIVE)
    assert snapshot.changes == before


def test_snapshot_update_for_other_state_is_ignored() -> None:
    snapshot = Snapshot()
    snapshot.put(one := view("a", State.LOADED))
    assert not snapshot.update("a", State.COLD, 0.0, LIVE)
    assert not snapshot.update("b", State.LOADED, 0.0, LIVE)
    assert list(snapshot) == [one]


def test_snapshot_put_discards_older_live_figures() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.update("a", State.LOADED, 0.0, LIVE)
    snapshot.put(newer := view("a", State.COLD))
    assert snapshot.get("a") is newer


COLD = ServerView("a", "http://a", "default", State.COLD, 7.0, Reason.KEYS_MISSING, verbatim(""))
WAITING = LiveFigures(None, 0, 5.0, waiting_for=message("wait.permit", running=8, limit=8, place=3), next_action_at=9.0)


def test_snapshot_update_before_its_view_is_shown_with_it() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a"))
    assert not snapshot.update("a", State.COLD, 7.0, WAITING)
    assert snapshot.put_committed(COLD).live == WAITING
    assert [one.live for one in snapshot] == [WAITING]


def test_snapshot_update_survives_an_older_entry_of_its_state() -> None:
    snapshot = Snapshot()
    snapshot.put(COLD)
    assert snapshot.update("a", State.COLD, 7.0, WAITING)
    assert snapshot.put_committed(COLD._replace(reason=Reason.QUEUE_UNANSWERED)).live == WAITING
    assert snapshot.put_committed(COLD._replace(since=8.0)).live == COLD.live


def test_snapshot_set_order_discards_removed_servers() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a", State.LOADED))
    snapshot.update("a", State.LOADED, 0.0, LIVE)
    snapshot.set_order([])
    assert list(snapshot) == []


def test_snapshot_put_during_iteration_is_allowed() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a"))
    snapshot.put(view("b"))
    for one in snapshot:
        snapshot.put(view(f"{one.name}2"))
    assert len(snapshot) == 4


def test_snapshot_detail_is_shared_or_empty() -> None:
    snapshot = Snapshot()
    detail = ServerDetail()
    snapshot.attach("a", detail)
    detail.count("checks")
    detail.count("checks")
    assert snapshot.detail("a").counters == {"checks": 2}
    assert snapshot.detail("b") == ServerDetail()


VERDICTLESS = {State.UNKNOWN, State.CHECKING, State.LOADED, State.COLD, State.AUTO_EXECUTING}


@pytest.mark.parametrize("state", State)
def test_first_verdicts_need_verdict_on_every_server(state: State) -> None:
    snapshot = Snapshot()
    assert not snapshot.has_first_verdicts, "no server has been published yet"
    snapshot.put(view("a")._replace(last_check=5.0))
    assert snapshot.has_first_verdicts
    snapshot.put(view("b", state))
    assert snapshot.has_first_verdicts is (state not in VERDICTLESS)


def test_first_verdicts_ignore_removed_server() -> None:
    snapshot = Snapshot()
    snapshot.put(view("a")._replace(last_check=5.0))
    snapshot.put(view("b"))
    snapshot.set_order(["a"])
    assert snapshot.has_first_verdicts
    snapshot.put(view("a"))
    assert not snapshot.has_first_verdicts, "this is another server with the same name"


@pytest.mark.parametrize("state", State)
def test_cache_loaded_is_true_only_if_loaded(state: State) -> None:
    assert view("a", state).cache_loaded is (state is State.LOADED)


def test_snapshot_knows_groups_with_an_open_restart() -> None:
    snapshot, opened = Snapshot(), Restart("r1", "a", RestartCause.OPERATOR, 1_000.0)
    snapshot.put(view("a", State.DRAINING)._replace(restart=opened))
    assert [snapshot.is_restarting(group) for group in ("default", "other")] == [True, False]
    snapshot.put(
        view("a", State.LOADED)._replace(restart=opened.after(State.LOADED, Reason.ALL_CACHED, NO_MESSAGE, 1_001.0))
    )
    assert not snapshot.is_restarting("default")
    snapshot.put(view("a", State.DRAINING)._replace(restart=opened))
    snapshot.set_order([])
    assert not snapshot.is_restarting("default")
