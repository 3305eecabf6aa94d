"""What the service manager is told, by a daemon and while something hangs. The test is the service manager."""

import asyncio
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from statemachine.daemon.systemd import ServiceManager, supervised
from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore
from tests.faults.process import Program
from tests.journal.samples import quiet_journal
from tests.support.daemon import Json
from tests.support.paths import WORKFLOWS
from tests.support.polling import wait_until

PERIOD_S = 0.3
STARVED_S = 1.0


class Listener:
    """The service manager's end: every line that came, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        self.lines += self._socket.recv(4096).decode().splitlines()

    def pulses(self) -> int:
        """How often the watchdog was fed."""
        return self.lines.count("WATCHDOG=1")

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds; a failure shows what was heard."""
        try:
            await wait_until(holds)
        except TimeoutError:
            raise AssertionError(self.lines) from None

    async def said(self, line: str) -> None:
        """Wait for the line."""
        await self.until(lambda: line in self.lines)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    one = Listener(str(tmp_path / "notify"))
    yield one
    one.close()


async def well() -> None:
    """An answer at once."""


@asynccontextmanager
async def feeding(listener: Listener, answers: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    manager = ServiceManager(listener.address, PERIOD_S)
    async with supervised(manager, answers, lambda: "3 of 4 servers are loaded"):
        yield


def test_what_systemd_says_of_itself_is_understood() -> None:
    said = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000"}
    assert ServiceManager.of(said) == ServiceManager("/run/notify", 30.0)
    assert ServiceManager.of({**said, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 30.0
    assert ServiceManager.of({**said, "WATCHDOG_PID": "1"}).watchdog_s is None
    assert ServiceManager.of({"WATCHDOG_USEC": "soon"}) == ServiceManager() == ServiceManager.of({})


async def test_ready_first_then_fed_and_at_last_stopping(listener: Listener) -> None:
    async with feeding(listener, well):
        await listener.until(lambda: listener.pulses() >= 3)
        assert listener.lines[:2] == ["READY=1", "STATUS=3 of 4 servers are loaded"]
    await listener.said("STOPPING=1")
    fed = listener.pulses()
    await asyncio.sleep(PERIOD_S)
    assert listener.pulses() == fed


async def test_abstract_names() -> None:
    listener = Listener(f"@comfywarm-test-{os.getpid()}")
    ServiceManager(listener.address).ready()
    await listener.said("READY=1")
    listener.close()


async def test_a_reload_is_told_with_its_moment(listener: Listener) -> None:
    before = time.monotonic_ns() // 1000
    ServiceManager(listener.address).reloading()
    await listener.said("RELOADING=1")
    moment = int(listener.lines[1].removeprefix("MONOTONIC_USEC="))
    assert before <= moment <= time.monotonic_ns() // 1000


async def test_without_a_service_manager_or_with_one_that_is_gone_the_daemon_goes_on(tmp_path: Path) -> None:
    for manager in (ServiceManager(), ServiceManager(str(tmp_path / "nobody"), PERIOD_S)):
        async with supervised(manager, well, lambda: ""):
            await asyncio.sleep(0)


async def test_a_blocked_loop_starves_the_watchdog(listener: Listener) -> None:
    async with feeding(listener, well):
        await listener.until(lambda: listener.pulses() >= 1)
        fed = listener.pulses()
        time.sleep(STARVED_S)  # noqa: ASYNC251 - the fault
        await asyncio.sleep(0)
        assert listener.pulses() <= fed + 1
        await listener.until(lambda: listener.pulses() >= fed + 2)


@asynccontextmanager
async def hanging(thread: WriterThread) -> AsyncIterator[None]:
    """The journal's thread is stuck in a call within the block."""
    release = threading.Event()
    stuck = thread(release.wait)
    try:
        yield
    finally:
        release.set()
        await stuck


async def test_a_journal_whose_thread_hangs_starves_the_watchdog(tmp_path: Path, listener: Listener) -> None:
    thread = WriterThread()
    journal = quiet_journal(lambda: JournalStore(tmp_path / "journal.db"), thread)
    await journal.open()
    async with feeding(listener, journal.ping):
        await listener.until(lambda: listener.pulses() >= 2)
        async with hanging(thread):
            await asyncio.sleep(PERIOD_S)  # a question that was on its way may still be answered
            fed = listener.pulses()
            await asyncio.sleep(STARVED_S)
            assert listener.pulses() == fed
        await listener.until(lambda: listener.pulses() >= fed + 2)
    await journal.close()
    thread.close()


async def test_a_journal_that_cannot_be_used_does_not_starve_the_watchdog(listener: Listener) -> None:
    """A full or failing disk is no better after a restart."""

    def cannot() -> JournalStore:
        raise sqlite3.OperationalError("disk I/O error")

    thread = WriterThread()
    journal = quiet_journal(cannot, thread)
    await journal.open()
    assert not journal.healthy
    async with feeding(listener, journal.ping):
        await listener.until(lambda: listener.pulses() >= 3)
    await journal.close()
    thread.close()


async def test_trouble_is_an_answer_too(listener: Listener) -> None:
    async def troubled() -> None:
        raise sqlite3.OperationalError("database is locked")

    async with feeding(listener, troubled):
        await listener.until(lambda: listener.pulses() >= 3)


def served_at(port: int) -> Json:
    return {
        "servers": ["http://127.0.0.1:9"],
        "workflows_dir": str(WORKFLOWS),
        "listen": {"port": port},
        "logging": {"file": None},
    }


async def test_the_daemon_tells_of_its_start_its_health_a_reload_and_its_stop(
    tmp_path: Path, listener: Listener
) -> None:
    program = Program(NOTIFY_SOCKET=listener.address, WATCHDOG_USEC="600000")
    async with program.start(tmp_path, served_at(0)):
        await listener.until(lambda: listener.pulses() >= 3)
        assert listener.lines[:2] == ["READY=1", "STATUS=0 of 1 servers are loaded"]
        os.kill(program.pid, signal.SIGHUP)
        await listener.until(lambda: listener.lines.count("READY=1") == 2)
        assert listener.lines.index("RELOADING=1") < len(listener.lines) - listener.lines[::-1].index("READY=1") - 1
        assert "STOPPING=1" not in listener.lines
    await listener.said("STOPPING=1")


async def test_a_daemon_that_cannot_listen_never_says_that_it_is_ready(tmp_path: Path, listener: Listener) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = await Program(NOTIFY_SOCKET=listener.address).refused(tmp_path, served_at(taken.getsockname()[1]))
    assert "listen.port" in said
    assert listener.lines == []
