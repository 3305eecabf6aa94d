"""Faults of the daemon's host: files, disk, journal, clock and SIGKILL."""

import os
import re
import resource
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import aiohttp
import pytest

from statemachine.daemon.app import running_daemon
from statemachine.journal.store import JOURNAL_FILE as JOURNAL
from statemachine.journal.store import JournalStore
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES
from tests.faults.harness import QUICK, assert_no_duplicate_posts, faulty, watched
from tests.faults.process import Program
from tests.faults.proxy import FaultProxy
from tests.faults.responses import hang, processed_then, reset_connection, times
from tests.faults.table import Row
from tests.support.daemon import Json
from tests.support.paths import WORKFLOWS
from tests.support.polling import wait_until

UNPRIVILEGED_UID = 65_534
POOLED = 4
"""At least the number of connections that the daemon keeps to an idle server."""


async def test_host_without_file_descriptors_recovers(tmp_path: Path, expected: Row) -> None:
    program, proxy = Program(), FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_state("loaded")
        program.limit(resource.RLIMIT_NOFILE, 3)
        proxy.responders["GET /cache/check"] = times(POOLED, reset_connection)
        await harness.until_read(expected)
        program.limit(resource.RLIMIT_NOFILE, None)
        await harness.until_state("loaded")
        assert proxy.posts == []


async def test_disk_full_stops_submissions(tmp_path: Path, expected: Row) -> None:
    """Files cannot grow: nothing is submitted, and servers are still monitored."""
    program, proxy = Program(), FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_state("loaded")
        program.limit(resource.RLIMIT_FSIZE, 1)
        proxy.server.drop_keys(keep_executor=False)
        await harness.until(lambda _: "journal_unavailable" in harness.notices)
        await harness.until(lambda detail: detail["state"] == "cold" and detail["reason"] == "journal_unavailable")
        assert proxy.posts == []
        program.limit(resource.RLIMIT_FSIZE, None)
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


async def test_journal_locked_stops_submissions(tmp_path: Path, expected: Row) -> None:
    """Another program holds the journal's write lock."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until_state("loaded")
        with closing(sqlite3.connect(tmp_path / "data" / JOURNAL, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            proxy.server.drop_keys(keep_executor=False)
            await harness.until(lambda _: "journal_unavailable" in harness.notices)
            assert proxy.posts == []
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


def write_journal(folder: Path, content: bytes) -> None:
    """Write a journal file with this content."""
    (folder / "data").mkdir()
    (folder / "data" / JOURNAL).write_bytes(content)


def journal_with_a_broken_page() -> bytes:
    """Return a valid journal with a broken second page."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / JOURNAL
        JournalStore(path).close()
        content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    return bytes(content)


DAMAGES = {
    "garbage": lambda: b"this is not a database" * 100,
    "truncated": lambda: b"SQLite format 3\x00" + bytes(50),
    "broken-page": journal_with_a_broken_page,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_journal_damaged_is_set_aside(tmp_path: Path, expected: Row, damage: Callable[[], bytes]) -> None:
    """The damaged journal is kept under another name, and a new one is created."""
    content = damage()
    write_journal(tmp_path, content)
    async with faulty(tmp_path) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
    [aside] = [
        file for file in (tmp_path / "data").glob(f"{JOURNAL}.damaged-*") if file.name[-4:] not in {"-wal", "-shm"}
    ]
    assert aside.read_bytes() == content


async def test_journal_of_another_program_is_not_used(tmp_path: Path, expected: Row) -> None:
    """The file is neither used nor changed, and the API works without it."""
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / JOURNAL)) as database:
        database.execute("CREATE TABLE log (of_somebody_else TEXT)")
    async with running(tmp_path) as (session, address), session.get(f"{address}/api/servers/127.0.0.1:9") as answer:
        detail = await answer.json()
        assert answer.status == 200, detail
    assert detail["name"] == "127.0.0.1:9"
    assert expected.fault


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Run a daemon without reachable servers; yield a client and the address."""
    async with running_daemon(parse_settings(bare(), folder, {})) as daemon, aiohttp.ClientSession() as session:
        yield session, daemon.address


def bare(**more: object) -> Json:
    """Return settings with one server that does not exist."""
    return {
        "servers": ["http://127.0.0.1:9"],
        "workflows_dir": str(WORKFLOWS),
        "listen": {"port": 0},
        "logging": {"file": None},
        **more,
    }


@pytest.fixture
def read_only() -> Iterator[Path]:
    """Yield a folder whose `data` only root can write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "data").chmod(0o555)
        folder.chmod(0o711)
        yield folder


async def test_data_folder_read_only_refuses_the_start(read_only: Path, expected: Row) -> None:
    """The daemon starts without the rights of root, for whom no folder is read-only."""
    settings = parse_settings(bare(), read_only, {})
    with without_root_rights(), pytest.raises(OSError, match=re.escape(str(read_only / "data"))) as refusal:
        async with running_daemon(settings):
            pass
    assert all(word in str(refusal.value) for word in expected.words)


@contextmanager
def without_root_rights() -> Iterator[None]:
    """Drop the rights of root within the block if the process has them."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(UNPRIVILEGED_UID)
    try:
        yield
    finally:
        os.seteuid(user)


async def test_data_folder_that_is_a_file_refuses_the_start(tmp_path: Path, expected: Row) -> None:
    (tmp_path / "data").write_text("", encoding="ascii")
    text = await Program().refused(tmp_path, bare())
    assert "Traceback" not in text
    assert all(word in text for word in expected.words)


async def test_second_daemon_on_one_folder_refuses_the_start(tmp_path: Path, expected: Row) -> None:
    """The first daemon continues; the second one reports why it does not start."""
    async with faulty(tmp_path) as (harness, proxy):
        await harness.until_state("loaded")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        text = await Program().refused(elsewhere, bare(data_dir=str(tmp_path / "data"), servers=[proxy.url]))
        assert "Traceback" not in text
        assert all(word in text for word in expected.words)
        assert len(proxy.posts) == 1


class SteppedClock:
    """A wall clock with an offset."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> float:
        return time.time() + self.offset_s

    @asynccontextmanager
    async def start(self, folder: Path, data: Json) -> AsyncIterator[str]:
        """Run the daemon in this process with this clock."""
        async with running_daemon(parse_settings(data, folder, {}), now=self.now) as daemon:
            yield daemon.address


@pytest.mark.parametrize("step_s", [3600.0, -3600.0], ids=["forward", "back"])
async def test_clock_step_during_a_warm_up_does_no_harm(tmp_path: Path, expected: Row, step_s: float) -> None:
    """The warm-up is not stuck, lost or repeated, and the checks keep their interval."""
    clock = SteppedClock()
    async with faulty(tmp_path, scale=0.05, start=clock.start) as (harness, proxy):
        await harness.until_state("warming")
        clock.offset_s = step_s
        await harness.until_read(expected)
        await harness.until_state("loaded")
        asked = proxy.requests["GET /cache/check"]
        proxy.server.drop_keys(keep_executor=False)
        await harness.until(lambda _: len(proxy.ended) == 2)
        await harness.until_state("loaded")
        assert proxy.requests["GET /cache/check"] - asked < 20
        assert len(proxy.posts) == 2


@pytest.mark.parametrize("during", ["warming", "submitting"])
async def test_daemon_killed_resumes_the_prompt(tmp_path: Path, expected: Row, during: str) -> None:
    """The next daemon finds the prompt of a daemon that was killed."""
    proxy, first, second = FaultProxy(PROFILES["cold"], scale=0.1), Program(), Program()
    if during == "submitting":
        proxy.responders["POST /prompt"] = processed_then(hang)
    data = {**bare(), "cache_check": {"kind": "text"}, "timing": QUICK}
    async with proxy.listening():
        data["servers"] = [{"url": proxy.url, "name": "faulty"}]
        async with first.start(tmp_path, data):
            await wait_until(lambda: proxy.server.process.queue.remaining)
            first.kill()
        async with watched(tmp_path, proxy.url, start=second.start) as harness:
            await harness.until_read(expected)
            await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        assert_no_duplicate_posts(proxy)
