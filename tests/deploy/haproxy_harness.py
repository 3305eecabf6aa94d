"""A real HAProxy with the shipped configuration, in front of simulated servers and a daemon in this process."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
from typing_extensions import override

from statemachine.daemon.app import Daemon, running_daemon
from statemachine.settings import Settings, parse_settings, resolve_servers
from statemachine.simulator import Profile, SimServer
from statemachine.simulator.http import Request, Response
from statemachine.simulator.nodes import users_job
from statemachine.simulator.sockets import Gateway
from statemachine.traffic.haproxy import backend_text
from tests.support.paths import DEPLOY, WORKFLOWS

SHIPPED = DEPLOY / "haproxy" / "haproxy.cfg"
PATIENCE_S = 15.0
AGENT_INTER_S = 0.1
JOB_S = 0.2
USER = {"X-User": "yes"}
PROFILE = Profile("quick", loaded=True, load_seconds=0.2)
TIMING = {"check_interval_s": 0.5, "retry_s": 0.1, "lost_grace_s": 0.5, "failed_retry_s": 2, "link_backoff_max_s": 0.5}


class RecordingServer(SimServer):
    """A server that records when each user request reached it, in epoch seconds."""

    def __init__(self, seed: int) -> None:
        super().__init__(PROFILE, Random(seed))
        self.arrivals: list[float] = []

    @override
    async def handle(self, request: Request) -> Response:
        if USER.items() <= request.headers.items():
            self.arrivals.append(time.time())
        return await super().handle(request)


@dataclass
class Outcome:
    """The number of responses by status. Status 0 means a broken connection."""

    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


class Deployment:
    """Servers by name, the daemon that watches them, and HAProxy at `front`.

    `timeline` holds each server's states and when the daemon published them, in epoch seconds.
    """

    def __init__(
        self, servers: dict[str, RecordingServer], front: str, stats: Path, settings: Callable[[int], Settings]
    ) -> None:
        self.servers = servers
        self.front = front
        self.timeline: dict[str, list[tuple[float, str]]] = {name: [] for name in servers}
        self.lag_s = 0.0
        """The longest delay of this process during a load, caused by shared cores."""
        self.daemon: Daemon
        self.session: aiohttp.ClientSession
        self._stats = stats
        self._settings = settings
        self._running = AsyncExitStack()
        self._agent_port = 0

    async def start_daemon(self) -> int:
        """Start or restart the daemon, always on the same agent port. Return that port."""
        self.daemon = await self._running.enter_async_context(running_daemon(self._settings(self._agent_port)))
        assert self.daemon.agent is not None
        self._agent_port = self.daemon.agent[1]
        reader = asyncio.create_task(self._read_timeline())
        self._running.callback(reader.cancel)
        return self._agent_port

    async def stop_daemon(self) -> None:
        await self._running.aclose()

    async def _read_timeline(self) -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{self.daemon.address}/api/events") as stream:
            async for line in stream.content:
                event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                if event.get("event") == "transition":
                    self.timeline[event["server"]].append((time.time(), event["to"]))

    async def states(self) -> dict[str, str]:
        """Return the servers' states from /api/status."""
        async with self.session.get(f"{self.daemon.address}/api/status") as response:
            return {one["name"]: one["state"] for one in (await response.json())["servers"]}

    async def act(self, name: str, action: str) -> None:
        """Post an operator's action."""
        async with self.session.post(f"{self.daemon.address}/api/servers/{name}/{action}") as response:
            assert response.status == 202

    async def balancer(self) -> dict[str, str]:
        """Return the servers' statuses in HAProxy: `UP`, `DOWN (agent)`, `DRAIN (agent)` or `MAINT`."""
        reader, writer = await asyncio.open_unix_connection(self._stats)
        writer.write(b"show stat\n")
        lines = (await asyncio.wait_for(reader.read(), PATIENCE_S)).decode().splitlines()
        writer.close()
        keys = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(keys, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row["svname"] in self.servers}

    async def until(self, holds: Callable[[dict[str, str], dict[str, str]], bool]) -> None:
        """Wait until `holds` is true of the daemon's states and HAProxy's statuses."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(states := await self.states(), balancer := await self.balancer()):
            assert time.monotonic() < deadline, (states, balancer)
            await asyncio.sleep(0.02)

    async def until_all_in_service(self) -> None:
        await self.until(
            lambda states, balancer: set(states.values()) == {"loaded"} and set(balancer.values()) == {"UP"}
        )

    async def request(self, number: int, outcome: Outcome, job: bool = False) -> None:
        """Send a user request: a GET, or a small job."""
        try:
            if not job:
                sent = self.session.get(f"{self.front}/system_stats", headers=USER)
            else:
                body = {"prompt": users_job(f"user-{number}", JOB_S), "client_id": f"user-{number}"}
                sent = self.session.post(f"{self.front}/prompt", json=body, headers=USER)
            async with sent as response:
                await response.read()
                outcome.count(response.status)
        except aiohttp.ClientError:
            outcome.count(0)

    async def load(self, seconds: float, per_second: float, outcome: Outcome, *, jobs: bool = True) -> None:
        """Send requests at a constant rate, without waiting for responses. Every 20th is a job."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(round(seconds * per_second)):
                due = begin + number / per_second
                await asyncio.sleep(due - loop.time())
                self.lag_s = max(self.lag_s, loop.time() - due)
                group.create_task(self.request(number, outcome, jobs and number % 20 == 0))

    def lateness(self, doubted: frozenset[str] = frozenset()) -> list[float]:
        """Return, for each request that reached a server that was not loaded, the seconds since it was loaded.

        A server that goes from loaded to a `doubted` state still counts as loaded while it stays in such states.
        """
        late = (
            _seconds_since_loaded(self.timeline[name], at, doubted)
            for name, server in self.servers.items()
            for at in server.arrivals
        )
        return sorted(one for one in late if one > 0)


def _seconds_since_loaded(timeline: list[tuple[float, str]], at: float, doubted: frozenset[str]) -> float:
    """Return the seconds since the server left `loaded`: 0 while it is loaded, infinity if it never was."""
    left = -float("inf")
    is_loaded = False
    for moment, state in timeline:
        if moment > at:
            break
        stays = state == "loaded" or (is_loaded and state in doubted)
        left = moment if is_loaded and not stays else left
        is_loaded = stays
    return 0.0 if is_loaded else at - left


@asynccontextmanager
async def deployed(count: int, edit: Callable[[str], str] = lambda text: text) -> AsyncIterator[Deployment]:
    """Run `count` warm servers behind HAProxy. `edit` may change its configuration."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="comfywarm-haproxy-")))
        gateway = await stack.enter_async_context(Gateway())
        servers = {}
        for number in range(count):
            server = RecordingServer(number)
            host, port = gateway.add(server, "127.0.0.1", 0)
            servers[f"{host}:{port}"] = server
            await server.start()
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        deployment = Deployment(
            servers,
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            folder / "stats",
            lambda agent_port: _settings(folder, list(servers), agent_port),
        )
        deployment.session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(PATIENCE_S))
        )
        stack.push_async_callback(deployment.stop_daemon)
        agent_port = await deployment.start_daemon()
        text = edit(_configuration(folder, list(servers), agent_port, listener.fileno()))
        await stack.enter_async_context(haproxy(folder, text, listener.fileno()))
        yield deployment


def _settings(folder: Path, names: list[str], agent_port: int) -> Settings:
    data: dict[str, Any] = {
        "servers": [f"http://{name}" for name in names],
        "workflows_dir": str(WORKFLOWS),
        "cache_check": {"kind": "text"},
        "listen": {"port": 0},
        "logging": {"file": None},
        "timing": TIMING,
        "traffic": {"agent_port": agent_port},
    }
    return parse_settings(data, folder, {})


def _configuration(folder: Path, names: list[str], agent_port: int, fd: int) -> str:
    """Return the shipped configuration with this fleet's backend and faster checks."""
    head, _ = SHIPPED.read_text(encoding="utf-8").split("\nbackend ")
    head = head.replace("bind :8080", f"bind fd@{fd}").replace(
        "\nglobal\n", f"\nglobal\n    stats socket {folder}/stats\n"
    )
    backend = backend_text(resolve_servers(_settings(folder, names, 0)), "comfyui", "127.0.0.1", agent_port)
    quick = backend.replace("agent-inter 1s", f"agent-inter {AGENT_INTER_S * 1000:.0f}ms")
    return head + "\n" + quick.replace("check inter 2s", "check inter 500ms")


@asynccontextmanager
async def haproxy(folder: Path, text: str, fd: int) -> AsyncIterator[None]:
    """Run HAProxy with this configuration and the listener `fd` within the block."""
    path = folder / "haproxy.cfg"
    path.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-db", "-f", path, pass_fds=(fd,), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / "stats").exists():
            assert process.returncode is None, "haproxy rejected its configuration"
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
