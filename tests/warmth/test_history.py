"""The history of all servers: equal to brute force on random logs, with gaps where nothing is known."""

from math import ceil, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.table import TABLE, Row
from statemachine.core.vocabulary import Reason, State
from statemachine.warmth.history import MOST_ABSENT, WarmthHistory
from statemachine.warmth.stats import WINDOWS, Moments, Scope, scope_of
from tests.warmth import brute_force
from tests.warmth.log_builder import BEGIN, DAY, HOUR, LogBuilder

R, S = Reason, State

SERVERS = ("a", "b", "c")
ROWS = {state: [row for row in TABLE if row.source is state] for state in State}
GAPS = st.sampled_from([100, 6 * HOUR, 9 * DAY]).flatmap(
    lambda longest: st.integers(0, int(4 * longest)).map(_quarters)
)
"""Multiples of a quarter second, so that sums of floats are exact."""


def _quarters(count: int) -> float:
    return count / 4


@st.composite
def random_logs(draw: st.DrawFn) -> LogBuilder:
    """Return a log of transitions from the table, with restarts of the daemon and lost entries."""
    log = LogBuilder()
    states = dict.fromkeys(SERVERS, S.UNKNOWN)
    for _ in range(draw(st.integers(0, 40))):
        log.wait(draw(GAPS))
        if draw(st.integers(0, 9)) == 0:
            log.start_run(seen_at=log.now - draw(st.sampled_from([0.0, 5.0, DAY]))).wait(draw(GAPS))
            states = {name: state if state is S.PAUSED else S.UNKNOWN for name, state in states.items()}
        server = draw(st.sampled_from(SERVERS))
        source = states[server]
        if draw(st.integers(0, 9)) == 0:
            source = draw(st.sampled_from(State))
        row: Row = draw(st.sampled_from(ROWS[source]))
        log.go(row.dest, row.reason or draw(st.sampled_from(Reason)), server=server, source=source)
        states[server] = row.dest
    log.wait(draw(GAPS))
    return log


def scope(history: WarmthHistory, now: float, *names: str) -> Scope:
    """Return the figures of these servers at that time."""
    known = [server for name in names if (server := history.server(name)) is not None]
    return scope_of(known, Moments(now))


@settings(max_examples=60, deadline=None)
@given(random_logs())
def test_history_of_random_log_matches_brute_force(log: LogBuilder) -> None:
    figures = scope(log.history(), log.now, *SERVERS)
    for window, length in WINDOWS.items():
        start = log.now - length
        expected = brute_force.warm_share(log.entries, log.runs, SERVERS, start, log.now)
        assert _close(figures.windows[window].warm_share, expected)
        assert figures.windows[window].evictions == brute_force.evictions(log.entries, log.runs, start, log.now)
        times = brute_force.times_to_warm(log.entries, log.runs, start, log.now)
        assert figures.windows[window].warmed == len(times)
        for share, quantile in (
            (0.5, figures.windows[window].time_to_warm_p50_s),
            (0.99, figures.windows[window].time_to_warm_p99_s),
        ):
            assert _close(quantile, times[ceil(share * len(times)) - 1] if times else None, 0.001)


@settings(max_examples=40, deadline=None)
@given(random_logs())
def test_trend_of_random_log_matches_brute_force(log: LogBuilder) -> None:
    trend = scope(log.history(), log.now, *SERVERS).trend
    assert len(trend) == 24
    for point in trend:
        end = min(point.at + HOUR, log.now)
        spans = [span for name in SERVERS for span in brute_force.spans(log.entries, log.runs, name, log.now)]
        assert _close(point.warm_share, _share(spans, point.at, end))


def _share(spans: list[brute_force.Span], start: float, end: float) -> float | None:
    inside = [(max(0.0, min(last, end) - max(first, start)), state) for first, last, state in spans]
    watched = sum(seconds for seconds, state in inside if state is not S.PAUSED)
    return sum(seconds for seconds, state in inside if state is S.LOADED) / watched if watched > 0 else None


def _close(found: float | None, expected: float | None, tolerance: float = 1e-6) -> bool:
    if found is None or expected is None:
        return found is expected
    return isclose(found, expected, abs_tol=tolerance)


@settings(max_examples=60, deadline=None)
@given(random_logs(), st.data())
def test_history_queried_and_pruned_midway_matches_fresh_one(log: LogBuilder, data: st.DataObject) -> None:
    history = WarmthHistory()
    stops = data.draw(st.sets(st.integers(0, len(log.entries))))
    for number, entry in enumerate(log.entries):
        if number in stops:
            history.add_runs(run for run in log.runs if history.newest_run < run.after_seq <= number)
            history.start_known_runs()
            scope(history, entry.at, *SERVERS)
            for _ in history.prune(entry.at - 7 * DAY, SERVERS):
                pass
        history.add_runs(run for run in log.runs if history.newest_run < run.after_seq <= number)
        history.add(entry)
    history.add_runs(run for run in log.runs if history.newest_run < run.after_seq)
    history.start_known_runs()
    for names in (("a",), ("b",), SERVERS):
        whole, cut = scope(log.history(), log.now, *names), scope(history, log.now, *names)
        assert [point.at for point in whole.trend] == [point.at for point in cut.trend]
        for window in WINDOWS:
            one, other = whole.windows[window], cut.windows[window]
            assert _close(one.warm_share, other.warm_share)
            assert (one.warmed, one.evictions, one.attempts) == (other.warmed, other.evictions, other.attempts)
            assert one.failed_attempts == other.failed_attempts


# Gaps.


def test_history_without_daemon_is_not_watched() -> None:
    log = LogBuilder().start_run(seen_at=BEGIN + 600).loaded().wait(5 * HOUR)
    log.start_run().cold().wait(300)
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == pytest.approx(600 / 900)


def test_history_run_without_heartbeat_ends_at_last_entry() -> None:
    log = LogBuilder().start_run().loaded("a").wait(600).loaded("b").wait(5 * HOUR).start_run()
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == 1.0
    assert scope(log.history(), log.now, "a", "b").trend[-1].warm_share is None
    log.cold("a").wait(600)
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_history_before_first_transition_of_run_is_unknown() -> None:
    log = LogBuilder().start_run(seen_at=BEGIN + 60).loaded().wait(2 * HOUR).start_run().wait(HOUR)
    assert scope(log.history(), log.now, "a").windows["1h"].warm_share is None
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == 1.0


def test_history_without_runs_counts_connected_entries() -> None:
    log = LogBuilder().loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).wait(HOUR).go(S.LOADED, R.ALL_CACHED)
    log.wait(9 * HOUR).start_run().cold().wait(HOUR)
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == pytest.approx(1 / 3)


def test_history_gap_between_entries_is_unknown() -> None:
    log = LogBuilder().start_run().loaded().wait(HOUR)
    log.go(S.CHECKING, R.CHECK_STARTED, source=S.UNKNOWN).go(S.LOADED, R.ALL_CACHED).wait(60)
    log.go(S.COLD, R.KEYS_MISSING).wait(60)
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_history_paused_across_restart_is_not_watched() -> None:
    log = LogBuilder().start_run().loaded().wait(60).go(S.PAUSED, R.PAUSE_REQUESTED).wait(HOUR).start_run().wait(HOUR)
    log.recheck(R.RESUME_REQUESTED).cold().wait(60)
    assert scope(log.history(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_history_notice_changes_only_cursor() -> None:
    log = LogBuilder().start_run().loaded().wait(60)
    history = log.history()
    history.add(LogEntry(log.now, EntryKind.NOTICE, "fleet_vanished", verbatim("a sentence"), server="a", seq=99))
    assert (history.cursor, len(history)) == (99, 1)
    assert scope(history, log.now + 60, "a").windows["1h"].warm_share == 1.0


# Pruning.


def test_prune_drops_removed_server_with_old_entries() -> None:
    log = LogBuilder().start_run().loaded("a").loaded("b").wait(8 * DAY).loaded("c")
    history = log.history()
    for _ in history.prune(log.now - 7 * DAY, {"a"}):
        pass
    assert (history.server("a") is not None, history.server("b"), history.server("c") is not None) == (True, None, True)
    assert scope(history, log.now, "a").windows["7d"].warm_share == 1.0


def test_prune_keeps_the_latest_of_many_servers_that_left() -> None:
    log = LogBuilder().start_run().loaded("present")
    for number in range(MOST_ABSENT + 5):
        log.loaded(f"left {number}").wait(1.0)
    history = log.history()
    for _ in history.prune(log.now - 7 * DAY, {"present"}):
        pass
    assert len(history) == MOST_ABSENT + 1
    assert [history.server(name) is not None for name in ("present", "left 4", "left 5")] == [True, False, True]


def test_prune_drops_edges_and_events_before_horizon() -> None:
    log = LogBuilder().start_run()
    for _ in range(400):
        log.wait(HOUR).loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).submitted().go(S.FAILED, R.OUT_OF_MEMORY)
    history = log.history()
    server = history.server("a")
    assert server is not None
    before = len(server.timeline), len(server.evictions)
    for _ in history.prune(log.now - 7 * DAY, {"a"}):
        pass
    assert before == (801, 400)
    assert (len(server.timeline), len(server.evictions), len(server.attempts)) == (169, 84, 84)
