"""Following a real journal, in virtual time: page by page, over restarts and crashes, and while it cannot be used."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from typing_extensions import override

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.pages import Page
from statemachine.journal.rows import INSERT_ENTRY, entry_row
from statemachine.journal.schema import MIGRATIONS
from statemachine.journal.store import JournalStore, Write
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth, WarmthUnknownError
from statemachine.warmth.service import FOLLOW_S, PAGE, PATIENCE_S
from tests.journal.samples import DISK_FULL, FragileStore, quiet_journal
from tests.warmth.chronicle import BEGIN, DAY, HOUR, Chronicle

R, S = Reason, State

T = TypeVar("T")

pytestmark = pytest.mark.looptime


class DeafStore(FragileStore):
    """Cannot be read while `deaf`; counts its reads."""

    deaf = False
    reads = 0

    @override
    def page_after(self, after: int, limit: int, wanted: LogFilter = EVERYTHING) -> Page:
        self.reads += 1
        if self.deaf:
            raise sqlite3.OperationalError("disk I/O error")
        return super().page_after(after, limit, wanted)


class Scene:
    """One life of a daemon over the journal in this folder, as far as warmth is concerned."""

    def __init__(self, path: Path, names: Sequence[str] = ("a",), began: float = BEGIN) -> None:
        self.store = DeafStore(path)
        self.journal = quiet_journal(lambda: self.store)
        self.snapshot = Snapshot()
        for name in names:
            self.snapshot.put(view(name))
        self._began = began
        self._started = asyncio.get_running_loop().time()
        self.warmth = Warmth(self.journal, self.snapshot, self.now, fresh_s=0)

    def now(self) -> float:
        """The wall clock, which goes with the loop's."""
        return self._began + asyncio.get_running_loop().time() - self._started

    def set_clock(self, seconds: float) -> None:
        """Set the wall clock forward."""
        self._began += seconds

    async def write(self, log: Chronicle) -> None:
        """Put a story's entries at the journal's end, which numbers them anew."""
        writes = [Write(entry._replace(seq=None), None) for entry in log.entries]
        await self.journal.with_store(lambda store: store.write(writes))

    async def share(self, window: str = "24h") -> float | None:
        """The fleet's."""
        return (await self.warmth.survey()).fleet.windows[window].warm_share


def view(name: str, group: str = "g") -> ServerView:
    return ServerView(name, f"http://{name}", group, S.LOADED, BEGIN, R.ALL_CACHED, "a sentence")


@asynccontextmanager
async def scene(path: Path, *names: str, began: float = BEGIN) -> AsyncIterator[Scene]:
    made = Scene(path, names or ("a",), began)
    await made.journal.open()
    try:
        yield made
    finally:
        made.store.broken = None
        await made.journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite3"


# The figures are the journal's.


async def test_what_is_written_is_known_at_once(path: Path) -> None:
    async with scene(path) as one:
        await one.write(Chronicle().cold())
        await asyncio.sleep(30)
        assert await one.share() == 0.0
        log = Chronicle().wait(30)
        await one.write(log.go(S.LOADED, R.ALL_CACHED, source=S.COLD))
        await asyncio.sleep(90)
        assert await one.share() == pytest.approx(0.75)


async def test_a_long_journal_is_read_by_pages(path: Path) -> None:
    log = Chronicle()
    for _ in range(PAGE):
        log.wait(10).loaded().wait(10).go(S.COLD, R.KEYS_MISSING)
    async with scene(path, began=log.now) as one:
        await one.write(log)
        figures = (await one.warmth.survey()).fleet.windows["7d"]
        assert (figures.evictions, one.store.reads) == (PAGE, 4)
        assert figures.warm_share == pytest.approx(PAGE / (2 * PAGE - 1))


async def test_who_exists_and_in_which_group_is_what_the_snapshot_says(path: Path) -> None:
    async with scene(path, "a", "b") as one:
        await one.write(Chronicle().loaded("a").cold("b").cold("gone"))
        one.snapshot.put(view("b", "other"))
        await asyncio.sleep(60)
        survey = await one.warmth.survey()
        assert {name: scope.windows["1h"].warm_share for name, scope in survey.groups.items()} == {
            "g": 1.0,
            "other": 0.0,
        }
        assert survey.fleet.windows["1h"].warm_share == pytest.approx(0.5)
        assert one.warmth.server("b", survey.moments).windows["1h"].warm_share == 0.0
        assert one.warmth.server("nobody", survey.moments).windows["1h"].warm_share is None


async def test_figures_are_given_again_while_they_are_fresh(path: Path) -> None:
    async with scene(path) as one:
        warmth = Warmth(one.journal, one.snapshot, one.now, fresh_s=5.0)
        first = await warmth.survey()
        await asyncio.sleep(4.9)
        assert await warmth.survey() is first
        await asyncio.sleep(0.2)
        assert await warmth.survey() is not first


# Restarts.


async def test_figures_survive_a_restart_and_the_time_between_is_not_known(path: Path) -> None:
    async with scene(path) as one, one.warmth.following():
        await one.write(Chronicle().loaded())
        await asyncio.sleep(HOUR)
    async with scene(path, began=BEGIN + 3 * HOUR) as two, two.warmth.following():
        assert await two.share() == 1.0
        await two.write(Chronicle().wait(3 * HOUR).cold())
        await asyncio.sleep(HOUR)
        survey = await two.warmth.survey()
        assert survey.fleet.windows["24h"].warm_share == pytest.approx(0.5)
        assert [point.warm_share for point in survey.fleet.trend[-5:-1]] == [1.0, None, None, 0.0]


async def test_a_killed_daemon_was_watching_until_its_last_sign_of_life(path: Path) -> None:
    killed = Scene(path)
    await killed.journal.open()
    following = killed.warmth.following()
    await following.__aenter__()
    await killed.write(Chronicle().loaded())
    await asyncio.sleep(HOUR + FOLLOW_S / 2)
    image = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    await following.__aexit__(None, None, None)
    await killed.journal.close()
    for name, content in image.items():
        path.with_name(name).write_bytes(content)

    async with scene(path, began=BEGIN + 9 * HOUR) as next_life:
        await next_life.write(Chronicle().wait(9 * HOUR).cold())
        await asyncio.sleep(HOUR)
        assert await next_life.share() == pytest.approx(0.5)


async def test_a_life_killed_before_its_first_sign_does_not_lengthen_the_one_before(path: Path) -> None:
    async with scene(path, "a", "b") as one, one.warmth.following():
        await one.write(Chronicle().loaded("a").loaded("b"))
        await asyncio.sleep(HOUR)
    async with scene(path, "a", "b", began=BEGIN + 5 * HOUR) as short:
        await short.write(Chronicle().wait(5 * HOUR).loaded("b"))
    async with scene(path, "a", "b", began=BEGIN + 9 * HOUR) as two:
        survey = await two.warmth.survey()
        assert [point.warm_share for point in survey.fleet.trend[-10:]] == [1.0, *[None] * 9]


async def test_a_journal_of_an_older_comfywarm_is_taken_over(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript(f"{MIGRATIONS[0]} PRAGMA user_version = 1;")
        for entry in Chronicle().loaded().wait(HOUR).go(S.COLD, R.KEYS_MISSING).entries:
            db.execute(INSERT_ENTRY, (None, *entry_row(entry)))
    db.close()
    async with scene(path, began=BEGIN + 3 * HOUR) as one:
        assert await one.share() == 1.0


# Trouble.


async def test_before_the_journal_was_ever_read_nothing_is_known(path: Path) -> None:
    async with scene(path) as one:
        one.store.deaf = True
        with pytest.raises(WarmthUnknownError):
            await one.warmth.survey()
        one.store.deaf = False
        assert await one.share() is None


async def test_while_the_journal_cannot_be_read_the_last_known_figures_stand(path: Path) -> None:
    async with scene(path) as one:
        await one.write(Chronicle().loaded())
        await asyncio.sleep(60)
        known = await one.warmth.survey()
        one.store.deaf = True
        await asyncio.sleep(600)
        survey = await one.warmth.survey()
        assert survey.moments.now == known.moments.now
        one.store.deaf = False
        assert (await one.warmth.survey()).moments.now == known.moments.now + 600


async def test_while_the_journal_cannot_be_written_nothing_is_claimed_of_the_present(path: Path) -> None:
    async with scene(path) as one:
        await one.write(Chronicle().loaded())
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
    (entry,) = Chronicle().go(S.COLD, R.KEYS_MISSING, source=S.LOADED).entries
    return entry._replace(at=at, seq=None)


async def test_nobody_waits_long_for_a_journal_that_is_slow(path: Path) -> None:
    async def slowly(call: Callable[[], T]) -> T:
        await asyncio.sleep(0 if opening else HOUR)
        return call()

    opening = True
    journal = quiet_journal(lambda: JournalStore(path), slowly)
    await journal.open()
    opening = False
    warmth = Warmth(journal, Snapshot(), lambda: BEGIN)
    before = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(warmth.survey() for _ in range(5)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [WarmthUnknownError] * 5
    assert asyncio.get_running_loop().time() - before == pytest.approx(PATIENCE_S, abs=0.1)
    await journal.close()


async def test_following_survives_a_fault(path: Path) -> None:
    async with scene(path) as one, one.warmth.following():
        one.store.deaf = True
        await asyncio.sleep(60)
        one.store.deaf = False
        await one.write(Chronicle().loaded())
        reads = one.store.reads
        await asyncio.sleep(FOLLOW_S)
        assert one.store.reads > reads


async def test_a_fleet_that_is_placed_after_the_start_keeps_its_past(path: Path) -> None:
    async with scene(path) as one, one.warmth.following():
        await one.write(Chronicle().loaded())
        await asyncio.sleep(FOLLOW_S)
        one.set_clock(20 * DAY)
        await asyncio.sleep(FOLLOW_S)
    async with scene(path, began=one.now()) as two:
        two.snapshot.set_order([])
        async with two.warmth.following():
            await asyncio.sleep(FOLLOW_S)
            two.snapshot.put(view("a"))
            assert await two.share("7d") == 1.0


async def test_following_forgets_what_no_window_needs(path: Path) -> None:
    async with scene(path) as one, one.warmth.following():
        log = Chronicle()
        for _ in range(100):
            log.loaded().wait(60).go(S.COLD, R.KEYS_MISSING).wait(60)
        await one.write(log)
        await asyncio.sleep(FOLLOW_S)
        assert edges(one) == 201
        one.set_clock(8 * DAY)
        await asyncio.sleep(FOLLOW_S)
        assert edges(one) == 1
        assert await one.share("7d") == 0.0


def edges(one: Scene) -> int:
    server = one.warmth._book.server("a")
    return len(server.timeline) if server is not None else 0
