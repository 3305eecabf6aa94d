"""Notifications to the service manager, which the test plays."""

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
from tests.support.service_manager import Listener

PERIOD_S = 0.3
STARVED_S = 1.0


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    one = Listener(str(tmp_path / "notify"))
    yield one
    one.close()


async def well() -> None:
    """Answer immediately."""


@asynccontextmanager
async def feeding(listener: Listener, answers: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    manager = ServiceManager(listener.address, PERIOD_S)
    async with supervised(manager, answers, lambda: "3 of 4 servers are loaded"):
        yield


def test_service_manager_is_read_from_the_environment() -> None:
    environment = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000"}
    assert ServiceManager.of(environment) == ServiceManager("/run/notify", 30.0)
    assert ServiceManager.of({**environment, "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 30.0
    assert ServiceManager.of({**environment, "WATCHDOG_PID": "1"}).watchdog_s is None
    assert ServiceManager.of({"WATCHDOG_USEC": "soon"}) == ServiceManager() == ServiceManager.of({})


async def test_supervised_sends_ready_watchdog_and_stopping(listener: Listener) -> None:
    async with feeding(listener, well):
        await listener.until(lambda: listener.watchdog_count() >= 3)
        assert listener.lines[:2] == ["READY=1", "STATUS=3 of 4 servers are loaded"]
    await listener.until_received("STOPPING=1")
    fed = listener.watchdog_count()
    await asyncio.sleep(PERIOD_S)
    assert listener.watchdog_count() == fed


async def test_service_manager_accepts_abstract_socket_names() -> None:
    listener = Listener(f"@comfywarm-test-{os.getpid()}")
    ServiceManager(listener.address).ready()
    await listener.until_received("READY=1")
    listener.close()


async def test_reloading_is_sent_with_its_timestamp(listener: Listener) -> None:
    before = time.monotonic_ns() // 1000
    ServiceManager(listener.address).reloading()
    await listener.until_received("RELOADING=1")
    moment = int(listener.lines[1].removeprefix("MONOTONIC_USEC="))
    assert before <= moment <= time.monotonic_ns() // 1000


async def test_supervised_without_service_manager_continues(tmp_path: Path) -> None:
    for manager in (ServiceManager(), ServiceManager(str(tmp_path / "absent"), PERIOD_S)):
        async with supervised(manager, well, lambda: ""):
            await asyncio.sleep(0)


async def test_watchdog_stops_while_the_loop_is_blocked(listener: Listener) -> None:
    async with feeding(listener, well):
        await listener.until(lambda: listener.watchdog_count() >= 1)
        fed = listener.watchdog_count()
        time.sleep(STARVED_S)  # noqa: ASYNC251 - the fault
        await asyncio.sleep(0)
        assert listener.watchdog_count() <= fed + 1
        await listener.until(lambda: listener.watchdog_count() >= fed + 2)


@asynccontextmanager
async def hanging(thread: WriterThread) -> AsyncIterator[None]:
    """Block the journal's thread within the block."""
    release = threading.Event()
    stuck = thread(release.wait)
    try:
        yield
    finally:
        release.set()
        await stuck


async def test_watchdog_stops_while_the_journal_thread_hangs(tmp_path: Path, listener: Listener) -> None:
    thread = WriterThread()
    journal = quiet_journal(lambda: JournalStore(tmp_path / "journal.db"), thread)
    await journal.open()
    async with feeding(listener, journal.ping):
        await listener.until(lambda: listener.watchdog_count() >= 2)
        async with hanging(thread):
            await asyncio.sleep(PERIOD_S)  # a question that was on its way may still be answered
            fed = listener.watchdog_count()
            await asyncio.sleep(STARVED_S)
            assert listener.watchdog_count() == fed
        await listener.until(lambda: listener.watchdog_count() >= fed + 2)
    await journal.close()
    thread.close()


async def test_watchdog_continues_without_usable_journal(listener: Listener) -> None:
    """A restart does not repair a full or failing disk."""

    def cannot() -> JournalStore:
        raise sqlite3.OperationalError("disk I/O error")

    thread = WriterThread()
    journal = quiet_journal(cannot, thread)
    await journal.open()
    assert not journal.healthy
    async with feeding(listener, journal.ping):
        await listener.until(lambda: listener.watchdog_count() >= 3)
    await journal.close()
    thread.close()


async def test_watchdog_continues_after_journal_error(listener: Listener) -> None:
    async def troubled() -> None:
        raise sqlite3.OperationalError("database is locked")

    async with feeding(listener, troubled):
        await listener.until(lambda: listener.watchdog_count() >= 3)


def served_at(port: int) -> Json:
    return {
        "servers": ["http://127.0.0.1:9"],
        "workflows_dir": str(WORKFLOWS),
        "listen": {"port": port},
        "logging": {"file": None},
    }


async def test_daemon_notifies_start_health_reload_and_stop(tmp_path: Path, listener: Listener) -> None:
    program = Program(NOTIFY_SOCKET=listener.address, WATCHDOG_USEC="600000")
    async with program.start(tmp_path, served_at(0)):
        await listener.until(lambda: listener.watchdog_count() >= 3)
        assert listener.lines[:2] == ["READY=1", "STATUS=0 of 1 servers are loaded"]
        os.kill(program.pid, signal.SIGHUP)
        await listener.until(lambda: listener.lines.count("READY=1") == 2)
        assert listener.lines.index("RELOADING=1") < len(listener.lines) - listener.lines[::-1].index("READY=1") - 1
        assert "STOPPING=1" not in listener.lines
    await listener.until_received("STOPPING=1")


async def test_daemon_that_cannot_listen_never_sends_ready(tmp_path: Path, listener: Listener) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        error = await Program(NOTIFY_SOCKET=listener.address).refused(tmp_path, served_at(taken.getsockname()[1]))
    assert "listen.port" in error
    assert listener.lines == []
