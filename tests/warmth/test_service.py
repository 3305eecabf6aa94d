"""Following a real journal in virtual time: pages, restarts, crashes and outages."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.rows import entry_row
from statemachine.journal.schema import MIGRATIONS
from statemachine.journal.store import JournalStore
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth, WarmthUnknownError
from statemachine.warmth.service import FOLLOW_S, PAGE_ENTRIES, READ_TIMEOUT_S
from tests.journal.samples import DISK_FULL, quiet_journal
from tests.warmth.harness import WarmthHarness, running_warmth, view
from tests.warmth.log_builder import BEGIN, DAY, HOUR, LogBuilder

R, S = Reason, State

T = TypeVar("T")

pytestmark = pytest.mark.looptime


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


# Surveys.


async def test_survey_after_write_includes_new_entries(path: Path) -> None:
    async with running_warmth(path) as one:
        await one.write(LogBuilder().cold())
        await asyncio.sleep(30)
        assert await one.share() == 0.0
        log = LogBuilder().wait(30)
        await one.write(log.go(S.LOADED, R.ALL_CACHED, source=S.COLD))
        await asyncio.sleep(90)
        assert await one.share() == pytest.approx(0.75)


async def test_survey_of_long_journal_reads_pages(path: Path) -> None:
    log = LogBuilder()
    for _ in range(PAGE_ENTRIES):
        log.wait(10).loaded().wait(10).go(S.COLD, R.KEYS_MISSING)
    async with running_warmth(path, began=log.now) as one:
        await one.write(log)
        figures = (await one.warmth.survey()).fleet.windows["7d"]
        assert (figures.evictions, one.store.reads) == (PAGE_ENTRIES, 4)
        assert figures.warm_share == pytest.approx(PAGE_ENTRIES / (2 * PAGE_ENTRIES - 1))


async def test_survey_takes_servers_and_groups_from_snapshot(path: Path) -> None:
    async with running_warmth(path, "a", "b") as one:
        await one.write(LogBuilder().loaded("a").cold("b").cold("gone"))
        one.snapshot.put(view("b", "other"))
        await asyncio.sleep(60)
        survey = await one.warmth.survey()
        assert {name: scope.windows["1h"].warm_share for name, scope in survey.groups.items()} == {
            "g": 1.0,
            "other": 0.0,
        }
        assert survey.fleet.windows["1h"].warm_share == pytest.approx(0.5)
        assert one.warmth.server("b", survey.moments).windows["1h"].warm_share == 0.0
        assert one.warmth.server("missing", survey.moments).windows["1h"].warm_share is None


async def test_survey_younger_than_max_age_is_reused(path: Path) -> None:
    async with running_warmth(path) as one:
        warmth = Warmth(one.journal, one.snapshot, one.now, max_age_s=5.0)
        first = await warmth.survey()
        await asyncio.sleep(4.9)
        assert await warmth.survey() is first
        await asyncio.sleep(0.2)
        assert await warmth.survey() is not first


# Restarts.


async def test_survey_after_restart_omits_time_between_runs(path: Path) -> None:
    async with running_warmth(path) as one, one.warmth.following():
        await one.write(LogBuilder().loaded())
        await asyncio.sleep(HOUR)
    async with running_warmth(path, began=BEGIN + 3 * HOUR) as two, two.warmth.following():
        assert await two.share() == 1.0
        await two.write(LogBuilder().wait(3 * HOUR).cold())
        await asyncio.sleep(HOUR)
        survey = await two.warmth.survey()
        assert survey.fleet.windows["24h"].warm_share == pytest.approx(0.5)
        assert [point.warm_share for point in survey.fleet.trend[-5:-1]] == [1.0, None, None, 0.0]


async def test_survey_after_kill_watches_until_last_heartbeat(path: Path) -> None:
    killed = WarmthHarness(path)
    await killed.journal.open()
    following = killed.warmth.following()
    await following.__aenter__()
    await killed.write(LogBuilder().loaded())
    await asyncio.sleep(HOUR + FOLLOW_S / 2)
    image = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    await following.__aexit__(None, None, None)
    await killed.journal.close()
    for name, content in image.items():
        path.with_name(name).write_bytes(content)

    async with running_warmth(path, began=BEGIN + 9 * HOUR) as successor:
        await successor.write(LogBuilder().wait(9 * HOUR).cold())
        await asyncio.sleep(HOUR)
        assert await successor.share() == pytest.approx(0.5)


async def test_survey_run_without_heartbeat_keeps_end_of_previous(path: Path) -> None:
    async with running_warmth(path, "a", "b") as one, one.warmth.following():
        await one.write(LogBuilder().loaded("a").loaded("b"))
        await asyncio.sleep(HOUR)
    async with running_warmth(path, "a", "b", began=BEGIN + 5 * HOUR) as short:
        await short.write(LogBuilder().wait(5 * HOUR).loaded("b"))
    async with running_warmth(path, "a", "b", began=BEGIN + 9 * HOUR) as two:
        survey = await two.warmth.survey()
        assert [point.warm_share for point in survey.fleet.trend[-10:]] == [1.0, *[None] * 9]


async def test_survey_of_older_journal_counts_its_entries(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        for entry in LogBuilder().loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).entries:
            db.execute(f"INSERT INTO log VALUES ({', '.join('?' * 11)})", (None, *entry_row(entry)[:-2]))
    db.close()
    async with running_warmth(path, began=BEGIN + 3 * HOUR) as one:
        assert await one.share() == 1.0


# Outages and pruning.


async def test_survey_before_first_read_raises_unknown(path: Path) -> None:
    async with running_warmth(path) as one:
        one.store.unreadable = True
        with pytest.raises(WarmthUnknownError):
            await one.warmth.survey()
        one.store.unreadable = False
        assert await one.share() is None


async def test_survey_of_unreadable_journal_keeps_last_moment(path: Path) -> None:
    async with running_warmth(path) as one:
        await one.write(LogBuilder().loaded())
        await asyncio.sleep(60)
        known = await one.warmth.survey()
        one.store.unreadable = True
        await asyncio.sleep(600)
        survey = await one.warmth.survey()
        assert survey.moments.now == known.moments.now
        one.store.unreadable = False
        assert (await one.warmth.survey()).moments.now == known.moments.now + 600


async def test_survey_of_unwritable_journal_stops_at_outage(path: Path) -> None:
    async with running_warmth(path) as one:
        await one.write(LogBuilder().loaded())
        await asyncio.sleep(600)
        assert await one.share() == 1.0
        one.store.broken = DISK_FULL
        one.journal.append(evicted(one.now()), None)
        await asyncio.sleep(0.1)
        assert not one.journal.healthy
        await asyncio.sleep(599.9)
        assert (await one.warmth.survey()).moments.now == pytest.approx(BEGIN + 600)
        one.store.broken = None
        await asyncio.sleep(60)
        assert await one.share() == pytest.approx(600 / 1_260)


def evicted(at: float) -> LogEntry:
    (entry,) = LogBuilder().go(S.COLD, R.KEYS_MISSING, source=S.LOADED).entries
    return entry._replace(at=at, seq=None)


async def test_survey_of_slow_journal_times_out_for_all_callers(path: Path) -> None:
    async def run_slowly(call: Callable[[], T]) -> T:
        await asyncio.sleep(0 if opening else HOUR)
        return call()

    opening = True
    journal = quiet_journal(lambda: JournalStore(path), run_slowly)
    await journal.open()
    opening = False
    warmth = Warmth(journal, Snapshot(), lambda: BEGIN)
    before = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(warmth.survey() for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [WarmthUnknownError] * 5
    assert asyncio.get_running_loop().time() - before == pytest.approx(READ_TIMEOUT_S, abs=0.1)
    await journal.close()


async def test_following_after_read_error_continues(path: Path) -> None:
    async with running_warmth(path) as one, one.warmth.following():
        one.store.unreadable = True
        await asyncio.sleep(60)
        one.store.unreadable = False
        await one.write(LogBuilder().loaded())
        reads = one.store.reads
        await asyncio.sleep(FOLLOW_S)
        assert one.store.reads > reads


async def test_following_keeps_servers_placed_after_start(path: Path) -> None:
    async with running_warmth(path) as one, one.warmth.following():
        await one.write(LogBuilder().loaded())
        await asyncio.sleep(FOLLOW_S)
        one.set_clock(20 * DAY)
        await asyncio.sleep(FOLLOW_S)
    async with running_warmth(path, began=one.now()) as two:
        two.snapshot.set_order([])
        async with two.warmth.following():
            await asyncio.sleep(FOLLOW_S)
            two.snapshot.put(view("a"))
            assert await two.share("7d") == 1.0


async def test_following_prunes_old_history(path: Path) -> None:
    async with running_warmth(path) as one, one.warmth.following():
        log = LogBuilder()
        for _ in range(100):
            log.loaded().wait(60).go(S.COLD, R.KEYS_MISSING).wait(60)
        await one.write(log)
        await asyncio.sleep(FOLLOW_S)
        assert edges(one) == 201
        one.set_clock(8 * DAY)
        await asyncio.sleep(FOLLOW_S)
        assert edges(one) == 1
        assert await one.share("7d") == 0.0


def edges(one: WarmthHarness) -> int:
    server = one.warmth._history.server("a")
    return len(server.timeline) if server is not None else 0
