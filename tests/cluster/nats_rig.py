"""Real NATS servers on 127.0.0.1, one or a cluster, which tests kill, freeze and restart with their data.

async with nats_rig(folder, servers=3) as rig:
    async with connected(NatsOptions(urls=rig.urls)) as store:
        await rig.kill(await rig.leader("comfywarm_log"))
"""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.ports import free_port

HOST = "127.0.0.1"
BINARY = Path(sys.executable).with_name("nats-server")
READY_S = 60.0
END_S = 10.0
POLL_S = 0.05


@dataclass
class NatsServer:
    """One server, which keeps its folder and ports when it is restarted. Its log is `folder/server.log`."""

    name: str
    folder: Path
    arguments: Sequence[str]
    port: int = field(default_factory=free_port)
    cluster_port: int = field(default_factory=free_port)
    monitor_port: int = field(default_factory=free_port)
    _process: Process | None = None

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self.port}"

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, routes: Sequence[str]) -> None:
        """Start the process, without waiting until it is ready. Without routes it is a single server."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                BINARY, *self._arguments(routes), stdin=DEVNULL, stdout=log, stderr=log
            )

    async def end(self, by: signal.Signals) -> None:
        if self._process is not None and self.is_alive:
            self._process.send_signal(by)
            self._process.send_signal(signal.SIGCONT)
            async with asyncio.timeout(END_S):
                await self._process.wait()

    def pause(self) -> None:
        """Freeze the process, and return once the kernel has stopped it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def monitor(self, path: str) -> Any:
        """Return JSON of the monitoring port, or None if it does not answer."""
        address = f"http://{HOST}:{self.monitor_port}/{path}"
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(2)) as session, session.get(address) as got:
                return await got.json()
        return None

    def _arguments(self, routes: Sequence[str]) -> list[str]:
        own = [*self.arguments, "-a", HOST, "-p", str(self.port), "-m", str(self.monitor_port), "-n", self.name]
        own += ["-js", "-sd", str(self.folder / "store")]
        if not routes:
            return own
        cluster = f"nats://{HOST}:{self.cluster_port}"
        return [*own, "--cluster_name", "tests", "--cluster", cluster, "--routes", ",".join(routes)]


class NatsRig:
    """The servers, numbered from 0. After `start`, wait for `ready`."""

    def __init__(self, folder: Path, servers: int, arguments: Sequence[str]) -> None:
        self.servers = [NatsServer(f"n{i}", folder / f"n{i}", arguments) for i in range(servers)]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    async def start(self, i: int) -> None:
        is_alone = len(self.servers) == 1
        await self.servers[i].start([] if is_alone else [f"nats://{HOST}:{each.cluster_port}" for each in self.servers])

    async def start_all(self) -> None:
        for i in range(len(self.servers)):
            await self.start(i)
        await self.ready()

    async def kill(self, i: int) -> None:
        await self.servers[i].end(signal.SIGKILL)

    async def stop(self, i: int) -> None:
        await self.servers[i].end(signal.SIGTERM)

    async def stop_all(self) -> None:
        for i in range(len(self.servers)):
            await self.kill(i)

    def pause(self, i: int) -> None:
        self.servers[i].pause()

    def resume(self, i: int) -> None:
        self.servers[i].resume()

    async def ready(self) -> None:
        """Return once all running servers have joined and have everything that was stored by then.

        Raises AssertionError with what is missing after `READY_S`.
        """
        give_up = time.monotonic() + READY_S
        joined = await self._wait_until_all_have({}, give_up)
        await self._wait_until_all_have(_newest(joined), give_up)

    async def meta_leader(self) -> int:
        """Return the leader of JetStream, after an election if need be."""
        return await self._known(self._meta_leader)

    async def leader(self, stream: str) -> int:
        """Return the leader of this stream, after an election if need be."""
        return await self._known(lambda: self._leader(stream))

    async def consumer_host(self, stream: str) -> int:
        """Return the server that has a consumer of this stream, once there is one."""
        return await self._known(lambda: self._consumer_host(stream))

    async def _wait_until_all_have(self, goal: Mapping[str, int], give_up: float) -> "list[_ServerState]":
        """Return the state of each server once all have reached the goal."""
        while True:
            states = await asyncio.gather(*(_state(server) for server in self.servers if server.is_alive))
            missing = [one for state in states for one in state.missing(goal)]
            if not missing:
                return states
            assert time.monotonic() < give_up, f"no NATS within {READY_S} s: {'; '.join(missing)}"
            await asyncio.sleep(POLL_S)

    async def _known(self, find: Callable[[], Awaitable[int | None]]) -> int:
        async with asyncio.timeout(READY_S):
            while (found := await find()) is None:  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
            return found

    async def _meta_leader(self) -> int | None:
        reply = await self._monitor("jsz")
        return self._number(reply["meta_cluster"].get("leader")) if reply is not None else None

    async def _leader(self, stream: str) -> int | None:
        reply = await self._monitor("jsz?streams=1")
        info = _stream(reply, stream)
        return self._number(info["cluster"].get("leader")) if info is not None else None

    async def _consumer_host(self, stream: str) -> int | None:
        for i, server in enumerate(self.servers):
            reply = await server.monitor("jsz?streams=1&consumers=1") if server.is_alive else None
            if (_stream(reply, stream) or {}).get("consumer_detail"):
                return i
        return None

    async def _monitor(self, path: str) -> Any:
        """Return the first server's answer, or None."""
        for server in self.servers:
            if server.is_alive and (reply := await server.monitor(path)) is not None:
                return reply
        return None

    def _number(self, name: str | None) -> int | None:
        return next((i for i, server in enumerate(self.servers) if server.name == name), None)


@dataclass(frozen=True, slots=True)
class _ServerState:
    """One server: what keeps it from being ready, and the newest revision of each stream."""

    server: str
    problems: list[str]
    newest: dict[str, int]

    def missing(self, goal: Mapping[str, int]) -> list[str]:
        behind = [
            f"{stream} at {self.newest.get(stream)} of {newest}"
            for stream, newest in goal.items()
            if self.newest.get(stream, -1) < newest
        ]
        return [f"{self.server}: {one}" for one in [*self.problems, *behind]]


def _newest(states: Iterable[_ServerState]) -> dict[str, int]:
    """Return stream → newest revision on any server. A server stores only what a majority has accepted."""
    newest: dict[str, int] = {}
    for state in states:
        for stream, revision in state.newest.items():
            newest[stream] = max(revision, newest.get(stream, 0))
    return newest


async def _state(server: NatsServer) -> _ServerState:
    health = await server.monitor("healthz?js-meta-only=true")
    reply = await server.monitor("jsz?streams=1")
    if health is None or reply is None:
        return _ServerState(server.name, ["no answer"], {})
    problems = [] if health.get("status") == "ok" else [str(health.get("error"))]
    problems += [f"{each['name']} has no leader" for each in _streams(reply) if _is_leaderless(each)]
    return _ServerState(server.name, problems, {each["name"]: each["state"]["last_seq"] for each in _streams(reply)})


def _is_leaderless(stream: Any) -> bool:
    return "cluster" in stream and not stream["cluster"].get("leader")


def _stream(reply: Any, name: str) -> Any:
    return next((each for each in _streams(reply or {}) if each["name"] == name), None)


@asynccontextmanager
async def nats_rig(folder: Path, servers: int = 1, arguments: Sequence[str] = ()) -> AsyncIterator[NatsRig]:
    """Yield started servers that are ready, and end them. `arguments` are added to each server's command."""
    rig = NatsRig(folder, servers, arguments)
    try:
        await rig.start_all()
        yield rig
    finally:
        await rig.stop_all()


def _streams(reply: Any) -> list[Any]:
    return [stream for account in reply.get("account_details", []) for stream in account.get("stream_detail", [])]
