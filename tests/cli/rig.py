"""The command line under test, and a small daemon that it can ask."""

import asyncio
import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from typer.testing import CliRunner

from statemachine.cli.main import app
from statemachine.core.log_entry import LogEntry
from statemachine.core.server import ServerView
from statemachine.journal.journal import WriterThread
from statemachine.journal.store import JournalStore, Write
from statemachine.publish.bus import Bus
from statemachine.publish.serialize import entry_message
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth
from statemachine.web import WebPorts, build_app
from tests.journal.samples import quiet_journal
from tests.support.paths import WORKFLOWS
from tests.support.polling import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.web.site import RecordingOperator, rollouts_of, transition_entry, two_servers


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    exit_code: int
    stdout: str
    stderr: str


async def cli(settings: Path, *arguments: str) -> Ended:
    """Run a command to its end in a thread, beside the servers of this loop."""
    return await asyncio.to_thread(_invoke, ["--settings", str(settings), *arguments])


def _invoke(arguments: list[str]) -> Ended:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "400", "LC_ALL": "C.UTF-8"}, catch_exceptions=False)
    return Ended(result.exit_code, result.stdout, result.stderr)


async def interrupt(process: Process) -> int:
    """Send SIGINT and return the exit code."""
    process.send_signal(signal.SIGINT)
    return await asyncio.wait_for(process.wait(), PATIENCE_S)


async def line(process: Process) -> str:
    """Return the next line on stdout."""
    assert process.stdout is not None
    text = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
    assert text, "the process ended"
    return text.decode().rstrip("\n")


async def json_lines(process: Process, count: int) -> list[Any]:
    """Return the next lines on stdout, decoded."""
    return [json.loads(await line(process)) for _ in range(count)]


def write_settings(folder: Path, **keys: Any) -> Path:
    """Write a settings file with the repository's workflows and return its path."""
    whole = {"servers": ["http://127.0.0.1:9"], "workflows_dir": str(WORKFLOWS), **keys}
    path = folder / "settings.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    return path


class SmallDaemon:
    """A web server with a real journal and no fleet. It can be restarted on its port."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        self.operator = RecordingOperator()
        self.views: list[ServerView] = two_servers()
        self.requests: list[str] = []
        self._published = asyncio.Event()
        self.port = free_port()
        self._folder = folder
        self._token = token

    def settings(self, **keys: Any) -> Path:
        """Write a settings file by which the command line finds this daemon."""
        listen = {"port": self.port, "token": self._token}
        return write_settings(self._folder, **{"listen": listen, "data_dir": str(self.data_dir), **keys})

    @property
    def data_dir(self) -> Path:
        return self._folder / "data"

    async def start(self) -> None:
        self._thread = WriterThread()
        self._journal = quiet_journal(
            lambda: JournalStore(self.data_dir / "journal.sqlite3"), self._thread, self._publish
        )
        await self._journal.open()
        self._bus, self._snapshot = Bus(), Snapshot()
        for view in self.views:
            self._snapshot.put(view)
        warmth = Warmth(self._journal, self._snapshot, lambda: 0.0)
        rollouts = rollouts_of(self._journal, self._snapshot, self.operator)
        ports = WebPorts(self._snapshot, self._bus, self._journal, self.operator, lambda: 0.0, warmth, rollouts)
        application = build_app(ports, token=SecretStr(self._token) if self._token else None, language="en")
        application.middlewares.append(self._remember)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        await self._journal.close()
        self._thread.close()

    async def wait_for_requests(self, path: str, times: int) -> None:
        """Wait until the path was requested this often, over all restarts."""
        await wait_until(lambda: self.requests.count(path) >= times)

    async def write(self, server: str, messages: Iterable[str], at: float | None = None) -> None:
        """Record and publish transitions as the fleet does."""
        entries = [transition_entry(server, message) for message in messages]
        await self.record(*(entry if at is None else entry._replace(at=at) for entry in entries))

    async def record(self, *entries: LogEntry) -> None:
        """Record and publish entries."""
        for entry in entries:
            self._published.clear()
            self._journal.append(entry, None)
            await self._published.wait()

    def add(self, view: ServerView) -> None:
        """Add a server, also for later restarts."""
        self.views.append(view)
        self._snapshot.put(view)

    async def write_to_journal(self, server: str, messages: Iterable[str]) -> None:
        """Write transitions to the journal only, as after a restart."""
        writes = [Write(transition_entry(server, message), None) for message in messages]
        await self._journal.with_store(lambda store: store.write(writes))

    def _publish(self, entry: LogEntry) -> None:
        self._bus.publish(entry_message(entry, self._snapshot.get(entry.server or "")))
        self._published.set()

    @web.middleware
    async def _remember(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(request.path)
        response: web.StreamResponse = await handler(request)
        return response


@asynccontextmanager
async def small_daemon(folder: Path, token: str | None = None) -> AsyncIterator[SmallDaemon]:
    """Run a small daemon."""
    daemon = SmallDaemon(folder, token)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()


def program(body: bytes, status: int = 200) -> TestServer:
    """Return a program that gives every request this answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return TestServer(application, host="127.0.0.1")
