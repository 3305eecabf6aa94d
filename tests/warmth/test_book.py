"""The fold over the whole log: it equals the plainest reckoning, however it is cut, and knows what it cannot know."""

from math import ceil, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.table import TABLE, Row
from statemachine.core.vocabulary import Reason, State
from statemachine.warmth.history import Book
from statemachine.warmth.stats import WINDOWS, Moments, Scope, scope_of
from tests.warmth import brute_force
from tests.warmth.chronicle import BEGIN, DAY, HOUR, Chronicle

R, S = Reason, State

SERVERS = ("a", "b", "c")
ROWS = {state: [row for row in TABLE if row.source is state] for state in State}
GAPS = st.sampled_from([100, 6 * HOUR, 9 * DAY]).flatmap(
    lambda longest: st.integers(0, int(4 * longest)).map(_quarters)
)
"""Whole quarters of a second, so that floats add up exactly."""


def _quarters(count: int) -> float:
    return count / 4


@st.composite
def chronicles(draw: st.DrawFn) -> Chronicle:
    """Servers that move along the table of transitions, daemons that die, and entries that were lost."""
    log = Chronicle()
    states = dict.fromkeys(SERVERS, S.UNKNOWN)
    for _ in range(draw(st.integers(0, 40))):
        log.wait(draw(GAPS))
        if draw(st.integers(0, 9)) == 0:
            log.new_life(seen_at=log.now - draw(st.sampled_from([0.0, 5.0, DAY]))).wait(draw(GAPS))
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


def scope(book: Book, now: float, *names: str) -> Scope:
    """The figures of these servers at that time."""
    known = [server for name in names if (server := book.server(name)) is not None]
    return scope_of(known, Moments(now))


@settings(max_examples=60, deadline=None)
@given(chronicles())
def test_the_fold_equals_the_plainest_reckoning(log: Chronicle) -> None:
    figures = scope(log.book(), log.now, *SERVERS)
    for window, length in WINDOWS.items():
        start = log.now - length
        expected = brute_force.warm_share(log.entries, log.lives, SERVERS, start, log.now)
        assert _close(figures.windows[window].warm_share, expected)
        assert figures.windows[window].evictions == brute_force.evictions(log.entries, log.lives, start, log.now)
        times = brute_force.times_to_warm(log.entries, log.lives, start, log.now)
        assert figures.windows[window].warmed == len(times)
        for share, given_by in (
            (0.5, figures.windows[window].time_to_warm_p50_s),
            (0.99, figures.windows[window].time_to_warm_p99_s),
        ):
            assert _close(given_by, times[ceil(share * len(times)) - 1] if times else None, 0.001)


@settings(max_examples=40, deadline=None)
@given(chronicles())
def test_every_hour_of_the_trend_equals_the_plainest_reckoning(log: Chronicle) -> None:
    trend = scope(log.book(), log.now, *SERVERS).trend
    assert len(trend) == 24
    for point in trend:
        end = min(point.at + HOUR, log.now)
        spans = [span for name in SERVERS for span in brute_force.spans(log.entries, log.lives, name, log.now)]
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
@given(chronicles(), st.data())
def test_a_fold_that_is_asked_and_pruned_on_its_way_equals_one_from_scratch(
    log: Chronicle, data: st.DataObject
) -> None:
    book = Book()
    stops = data.draw(st.sets(st.integers(0, len(log.entries))))
    for number, entry in enumerate(log.entries):
        if number in stops:
            book.learn_lives(life for life in log.lives if book.newest_life < life.after_seq <= number)
            book.has_all()
            scope(book, entry.at, *SERVERS)
            for _ in book.forget(entry.at - 7 * DAY, SERVERS):
                pass
        book.learn_lives(life for life in log.lives if book.newest_life < life.after_seq <= number)
        book.take(entry)
    book.learn_lives(life for life in log.lives if book.newest_life < life.after_seq)
    book.has_all()
    for names in (("a",), ("b",), SERVERS):
        whole, cut = scope(log.book(), log.now, *names), scope(book, log.now, *names)
        assert [point.at for point in whole.trend] == [point.at for point in cut.trend]
        for window in WINDOWS:
            one, other = whole.windows[window], cut.windows[window]
            assert _close(one.warm_share, other.warm_share)
            assert (one.warmed, one.evictions, one.attempts) == (other.warmed, other.evictions, other.attempts)
            assert one.failed_attempts == other.failed_attempts


# What cannot be known.


def test_the_time_in_which_no_daemon_ran_is_neither_warm_nor_watched() -> None:
    log = Chronicle().new_life(seen_at=BEGIN + 600).loaded().wait(5 * HOUR)
    log.new_life().cold().wait(300)
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == pytest.approx(600 / 900)


def test_a_life_that_left_no_sign_lasted_until_its_last_entry() -> None:
    log = Chronicle().new_life().loaded("a").wait(600).loaded("b").wait(5 * HOUR).new_life()
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == 1.0
    assert scope(log.book(), log.now, "a", "b").trend[-1].warm_share is None
    log.cold("a").wait(600)
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_a_server_that_the_new_daemon_has_not_moved_yet_is_not_warm_still() -> None:
    log = Chronicle().new_life(seen_at=BEGIN + 60).loaded().wait(2 * HOUR).new_life().wait(HOUR)
    assert scope(log.book(), log.now, "a").windows["1h"].warm_share is None
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == 1.0


def test_entries_of_a_journal_that_knew_no_lives_count_as_far_as_they_join() -> None:
    log = Chronicle().loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).wait(HOUR).go(S.LOADED, R.ALL_CACHED)
    log.wait(9 * HOUR).new_life().cold().wait(HOUR)
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == pytest.approx(1 / 3)


def test_what_lies_between_entries_that_do_not_join_is_not_known() -> None:
    log = Chronicle().new_life().loaded().wait(HOUR)
    log.go(S.CHECKING, R.CHECK_STARTED, source=S.UNKNOWN).go(S.LOADED, R.ALL_CACHED).wait(60)
    log.go(S.COLD, R.KEYS_MISSING).wait(60)
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_a_server_that_stays_paused_over_a_restart_is_never_watched() -> None:
    log = Chronicle().new_life().loaded().wait(60).go(S.PAUSED, R.PAUSE_REQUESTED).wait(HOUR).new_life().wait(HOUR)
    log.doubt(R.RESUME_REQUESTED).cold().wait(60)
    assert scope(log.book(), log.now, "a").windows["24h"].warm_share == pytest.approx(0.5)


def test_notices_are_no_part_of_any_servers_past() -> None:
    log = Chronicle().new_life().loaded().wait(60)
    book = log.book()
    book.take(LogEntry(log.now, EntryKind.NOTICE, "fleet_vanished", "a sentence", server="a", seq=99))
    assert (book.cursor, len(book)) == (99, 1)
    assert scope(book, log.now + 60, "a").windows["1h"].warm_share == 1.0


# What is forgotten.


def test_a_server_that_left_is_forgotten_when_its_last_entry_is_old() -> None:
    log = Chronicle().new_life().loaded("a").loaded("b").wait(8 * DAY).loaded("c")
    book = log.book()
    for _ in book.forget(log.now - 7 * DAY, {"a"}):
        pass
    assert (book.server("a") is not None, book.server("b"), book.server("c") is not None) == (True, None, True)
    assert scope(book, log.now, "a").windows["7d"].warm_share == 1.0


def test_forgetting_keeps_memory_bounded() -> None:
    log = Chronicle().new_life()
    for _ in range(400):
        log.wait(HOUR).loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).submitted().go(S.FAILED, R.OUT_OF_MEMORY)
    book = log.book()
    server = book.server("a")
    assert server is not None
    before = len(server.timeline), len(server.evictions)
    for _ in book.forget(log.now - 7 * DAY, {"a"}):
        pass
    assert before == (801, 400)
    assert (len(server.timeline), len(server.evictions), len(server.attempts)) == (169, 84, 84)
