"""A real HAProxy, with the shipped configuration, before simulated servers that a daemon in this process keeps warm."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
from statemachine.simulator import Persona, SimServer
from statemachine.simulator.nodes import users_job
from statemachine.simulator.routes import Answer
from statemachine.simulator.sockets import Gateway
from statemachine.traffic.haproxy import backend_text

REPOSITORY = Path(__file__).parents[2]
SHIPPED = REPOSITORY / "deploy" / "haproxy" / "haproxy.cfg"
PATIENCE_S = 15.0
AGENT_INTER_S = 0.1
JOB_S = 0.2
USER = {"X-User": "yes"}
PERSONA = Persona("quick", loaded=True, load_seconds=0.2)
TIMING = {"check_interval_s": 0.5, "retry_s": 0.1, "lost_grace_s": 0.5, "failed_retry_s": 2, "link_backoff_max_s": 0.5}


class Counted(SimServer):
    """Remembers when each user's request landed on it (epoch seconds)."""

    def __init__(self, seed: int) -> None:
        super().__init__(PERSONA, Random(seed))
        self.landed: list[float] = []

    @override
    async def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        if headers is not None and USER.items() <= headers.items():
            self.landed.append(time.time())
        return await super().handle(method, path, query, body, headers)


@dataclass
class Outcome:
    """What users were answered: status → how often; 0 stands for a broken connection."""

    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.statuses.values())

    def count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


Deed = Callable[["Stage", str], Awaitable[None]]
"""Something that happens to one server."""


async def evict(stage: "Stage", name: str) -> None:
    """A user's job takes the memory."""
    server = stage.servers[name]
    if server.up:
        server.start_foreign_job(JOB_S)
        server.drop_keys(keep_executor=False)


async def restart(stage: "Stage", name: str) -> None:
    """The process is started anew and has nothing in its cache."""
    await stage.servers[name].restart()


async def go_down(stage: "Stage", name: str) -> None:
    """The process is killed."""
    await stage.servers[name].go_down()


async def come_back(stage: "Stage", name: str) -> None:
    """The process is started, unless it runs."""
    await stage.servers[name].come_back()


async def pause(stage: "Stage", name: str) -> None:
    """The operator takes it out."""
    await stage.act(name, "pause")


async def resume(stage: "Stage", name: str) -> None:
    """The operator gives it back."""
    await stage.act(name, "resume")


CHURN: tuple[tuple[float, int, Deed], ...] = (
    (0.0, 0, evict),
    (0.3, 1, restart),
    (0.6, 2, pause),
    (0.9, 3, go_down),
    (1.5, 0, pause),
    (1.8, 4, evict),
    (2.1, 5, evict),
    (2.4, 2, resume),
    (2.7, 3, come_back),
    (3.0, 0, resume),
    (3.3, 6, restart),
    (3.6, 2, evict),
)
"""What happens within one round: (seconds after its begin, which server counted from the round's, what)."""

ROUND_S = 4.0


class Stage:
    """Servers by name, the daemon that watches them, and HAProxy at `front`. `timeline` is the daemon's own log.

    Its times are those at which a state was public: epoch seconds.
    """

    def __init__(
        self, servers: dict[str, Counted], front: str, stats: Path, settings: Callable[[int], Settings]
    ) -> None:
        self.servers = servers
        self.front = front
        self.timeline: dict[str, list[tuple[float, str]]] = {name: [] for name in servers}
        self.lag_s = 0.0
        """The longest that this process, on shared cores, was late for anything while a load was on."""
        self.daemon: Daemon
        self.session: aiohttp.ClientSession
        self._stats = stats
        self._settings = settings
        self._running = AsyncExitStack()
        self._agent_port = 0

    async def start_daemon(self) -> int:
        """Start it, or start it again at the same agent port; the port."""
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
        """Each server's state, as the daemon knows it."""
        async with self.session.get(f"{self.daemon.address}/api/status") as response:
            return {one["name"]: one["state"] for one in (await response.json())["servers"]}

    async def act(self, name: str, action: str) -> None:
        """What an operator asks for."""
        async with self.session.post(f"{self.daemon.address}/api/servers/{name}/{action}") as response:
            assert response.status == 202

    async def balancer(self) -> dict[str, str]:
        """Each server's status on HAProxy's statistics, as `UP`, `DOWN (agent)`, `DRAIN (agent)` or `MAINT`."""
        reader, writer = await asyncio.open_unix_connection(self._stats)
        writer.write(b"show stat\n")
        lines = (await asyncio.wait_for(reader.read(), PATIENCE_S)).decode().splitlines()
        writer.close()
        keys = lines[0].removeprefix("# ").split(",")
        rows = [dict(zip(keys, line.split(","), strict=False)) for line in lines[1:] if line]
        return {row["svname"]: row["status"] for row in rows if row["svname"] in self.servers}

    async def until(self, holds: Callable[[dict[str, str], dict[str, str]], bool]) -> None:
        """Wait until it holds of the daemon's states and HAProxy's."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(states := await self.states(), balancer := await self.balancer()):
            assert time.monotonic() < deadline, (states, balancer)
            await asyncio.sleep(0.02)

    async def until_all_take_part(self) -> None:
        await self.until(
            lambda states, balancer: set(states.values()) == {"loaded"} and set(balancer.values()) == {"UP"}
        )

    async def ask(self, number: int, outcome: Outcome, job: bool = False) -> None:
        """One user's request: a look, or a small job."""
        try:
            if not job:
                request = self.session.get(f"{self.front}/system_stats", headers=USER)
            else:
                body = {"prompt": users_job(f"user-{number}", JOB_S), "client_id": f"user-{number}"}
                request = self.session.post(f"{self.front}/prompt", json=body, headers=USER)
            async with request as response:
                await response.read()
                outcome.count(response.status)
        except aiohttp.ClientError:
            outcome.count(0)

    async def load(self, seconds: float, per_second: float, outcome: Outcome, *, jobs: bool = True) -> None:
        """A steady load, whatever becomes of the single requests; every twentieth is a job."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            for number in range(round(seconds * per_second)):
                due = begin + number / per_second
                await asyncio.sleep(due - loop.time())
                self.lag_s = max(self.lag_s, loop.time() - due)
                group.create_task(self.ask(number, outcome, jobs and number % 20 == 0))

    async def churn(self, seconds: float) -> None:
        """Round after round of `CHURN`, each begun at another server; in the end everybody is there again."""
        loop, names = asyncio.get_running_loop(), list(self.servers)
        begin = loop.time()
        for number in range(round(seconds / ROUND_S)):
            for after, which, deed in CHURN:
                await asyncio.sleep(begin + number * ROUND_S + after - loop.time())
                await deed(self, names[(number + which) % len(names)])
        for name in names:
            await come_back(self, name)
            await resume(self, name)

    def lateness(self, doubted: frozenset[str] = frozenset()) -> list[float]:
        """For each request that landed on a server that was not loaded: seconds since it was, as the daemon says.

        A server is taken for loaded also in the `doubted` states, as long as nothing else has been found out.
        """
        late = (
            _time_out(self.timeline[name], at, doubted) for name, server in self.servers.items() for at in server.landed
        )
        return sorted(one for one in late if one > 0)


def _time_out(timeline: list[tuple[float, str]], at: float, doubted: frozenset[str]) -> float:
    """Seconds since the server left `loaded`, 0 while it is; endless if it never was."""
    left = -float("inf")
    is_in = False
    for moment, state in timeline:
        if moment > at:
            break
        stays = state == "loaded" or (is_in and state in doubted)
        left = moment if is_in and not stays else left
        is_in = stays
    return 0.0 if is_in else at - left


@asynccontextmanager
async def staged(count: int, edit: Callable[[str], str] = lambda text: text) -> AsyncIterator[Stage]:
    """So many warm servers behind HAProxy; `edit` may change its configuration."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="comfywarm-haproxy-")))
        gateway = await stack.enter_async_context(Gateway())
        servers = {}
        for number in range(count):
            server = Counted(number)
            host, port = gateway.add(server, "127.0.0.1", 0)
            servers[f"{host}:{port}"] = server
            await server.start()
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        stage = Stage(
            servers,
            f"http://127.0.0.1:{listener.getsockname()[1]}",
            folder / "stats",
            lambda agent_port: _settings(folder, list(servers), agent_port),
        )
        stage.session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(PATIENCE_S))
        )
        stack.push_async_callback(stage.stop_daemon)
        agent_port = await stage.start_daemon()
        text = edit(_configuration(folder, list(servers), agent_port, listener.fileno()))
        await stack.enter_async_context(_haproxy(folder, text, listener.fileno()))
        yield stage


def _settings(folder: Path, names: list[str], agent_port: int) -> Settings:
    data: dict[str, Any] = {
        "servers": [f"http://{name}" for name in names],
        "workflows_dir": str(REPOSITORY / "workflows"),
        "cache_check": {"kind": "text"},
        "listen": {"port": 0},
        "logging": {"file": None},
        "timing": TIMING,
        "traffic": {"agent_port": agent_port},
    }
    return parse_settings(data, folder, {})


def _configuration(folder: Path, names: list[str], agent_port: int, fd: int) -> str:
    """The shipped one with this fleet's backend, and checks as quick as a test wants them."""
    head, _ = SHIPPED.read_text(encoding="utf-8").split("\nbackend ")
    head = head.replace("bind :8080", f"bind fd@{fd}").replace(
        "\nglobal\n", f"\nglobal\n    stats socket {folder}/stats\n"
    )
    backend = backend_text(resolve_servers(_settings(folder, names, 0)), "comfyui", "127.0.0.1", agent_port)
    quick = backend.replace("agent-inter 1s", f"agent-inter {AGENT_INTER_S * 1000:.0f}ms")
    return head + "\n" + quick.replace("check inter 2s", "check inter 500ms")


@asynccontextmanager
async def _haproxy(folder: Path, text: str, fd: int) -> AsyncIterator[None]:
    path = folder / "haproxy.cfg"
    path.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-db", "-f", path, pass_fds=(fd,), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (folder / "stats").exists():
            assert process.returncode is None, "haproxy refused its configuration"
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
