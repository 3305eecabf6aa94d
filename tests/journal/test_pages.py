"""Pages of the event log: complete for every filter and every length of the log."""

import sqlite3
from functools import partial
from pathlib import Path

import pytest

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.vocabulary import State
from statemachine.journal import pages
from statemachine.journal.pages import SCAN_ROWS, Page
from statemachine.journal.store import JournalStore
from tests.journal.samples import entry, notice, written

RARE = LogFilter(states=frozenset({State.FAILED}))


def numbers(page: Page) -> list[int | None]:
    return [one.seq for one in page.entries]


def all_after(store: JournalStore, limit: int, wanted: LogFilter) -> list[int | None]:
    """Return the numbers on all pages."""
    seen, page = list[int | None](), Page([], 0, more=True)
    while page.more:
        page = store.page_after(page.reached, limit, wanted)
        seen += numbers(page)
    return seen


def all_before(store: JournalStore, limit: int, wanted: LogFilter, after: int = 0) -> list[int | None]:
    seen, page = list[int | None](), Page([], 10**18, more=True)
    while page.more:
        page = store.page_before(page.reached, limit, wanted, after)
        seen += numbers(page)
    return seen


def mixed() -> list[LogEntry]:
    return [
        entry(server="a", dest=State.COLD),
        entry(server="b", dest=State.LOADED),
        entry(server="a", dest=State.FAILED),
        notice(),
        notice(server="a"),
        entry(server="b", dest=State.FAILED),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (EVERYTHING, [1, 2, 3, 4, 5, 6]),
        (LogFilter(servers=frozenset("a")), [1, 3, 5]),
        (LogFilter(servers=frozenset("ab")), [1, 2, 3, 5, 6]),
        (RARE, [3, 6]),
        (LogFilter(states=frozenset({State.FAILED, State.LOADED}), servers=frozenset("b")), [2, 6]),
        (LogFilter(groups=frozenset("g")), [1, 2, 3, 6]),
        (LogFilter(reasons=frozenset({"journal_unavailable"})), [4, 5]),
        (LogFilter(servers=frozenset("c")), []),
        (LogFilter(words=frozenset({"b"})), [2, 6]),
        (LogFilter(words=frozenset({"a", "g"})), [1, 3]),
        (LogFilter(words=frozenset({"%"})), []),
    ],
)
def test_pages_in_both_directions_return_all_wanted_entries(
    store: JournalStore, wanted: LogFilter, expected: list[int], limit: int
) -> None:
    written(store, *mixed())
    assert all_after(store, limit, wanted) == expected
    assert all_before(store, limit, wanted) == expected[::-1]
    assert all_before(store, limit, wanted, after=2) == [number for number in expected[::-1] if number > 2]


def test_page_filter_matches_filter_of_the_bus(store: JournalStore) -> None:
    written(store, *mixed())
    everything = store.page_after(0, 99).entries
    for wanted in (RARE, LogFilter(servers=frozenset("a")), LogFilter(groups=frozenset("g"), servers=frozenset("b"))):
        live = [one.seq for one in everything if wanted.passes(one.server, one.group, one.dest, one.reason)]
        assert all_after(store, 99, wanted) == live


def test_page_scans_limited_number_of_rows(store: JournalStore) -> None:
    unwanted = [entry() for _ in range(SCAN_ROWS)]
    written(store, entry(dest=State.FAILED), *unwanted, entry(dest=State.FAILED), entry(dest=State.FAILED))
    last = SCAN_ROWS + 3
    assert store.page_after(1, 10, RARE) == Page([], SCAN_ROWS + 1, more=True)
    assert store.page_before(last - 1, 10, RARE) == Page([], 2, more=True)
    assert all_after(store, 10, RARE) == [1, last - 1, last]
    assert all_before(store, 10, RARE) == [last, last - 1, 1]


def test_page_of_one_server_finds_distant_entries(store: JournalStore) -> None:
    written(store, entry(server="b"), *[entry() for _ in range(SCAN_ROWS)], entry(server="b"))
    wanted = LogFilter(servers=frozenset("b"))
    for page in (store.page_after(0, 10, wanted), store.page_before(10**18, 10, wanted)):
        assert (sorted(one.seq or 0 for one in page.entries), page.more) == ([1, SCAN_ROWS + 2], False)


def test_page_after_gap_in_numbers_finds_next_entry(store: JournalStore) -> None:
    """After a damaged file the numbers start at the time in milliseconds."""
    store.set_first_seq(1_767_225_600_000)
    written(store, entry(dest=State.FAILED))
    page = store.page_after(0, 10, RARE)
    assert (numbers(page), page.more) == ([1_767_225_600_000], False)


def test_page_of_one_server_uses_index(tmp_path: Path) -> None:
    JournalStore(tmp_path / "j.sqlite3").close()
    database = sqlite3.connect(tmp_path / "j.sqlite3")
    statements = list[str]()
    database.set_trace_callback(statements.append)
    database.row_factory = sqlite3.Row
    database.execute("INSERT INTO log (at, kind, server, reason, message) VALUES (1, 'notice', 'a', 'r', 'm')")
    wanted = LogFilter(servers=frozenset("a"))
    for read in (
        partial(pages.page_after, database, 0, 9, wanted),
        partial(pages.page_before, database, 9, 9, wanted, 0),
    ):
        read()
        plan = " ".join(row["detail"] for row in database.execute(f"EXPLAIN QUERY PLAN {statements[-1]}"))
        assert "log_by_server" in plan
        assert "TEMP B-TREE" not in plan
    database.close()
