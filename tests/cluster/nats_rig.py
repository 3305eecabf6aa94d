"""Real NATS servers on 127.0.0.1, one or a cluster, to be killed, frozen and started again with what they had kept.

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

from tests.comfyui.rig import free_port

HOST = "127.0.0.1"
BINARY = Path(sys.executable).with_name("nats-server")
READY_S = 60.0
END_S = 10.0
POLL_S = 0.05


@dataclass
class NatsServer:
    """One server, its folder and its ports, over all its lives. Its log is `folder/server.log`."""

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
        """Returns before it is ready. No routes: a server by itself."""
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
        """Returns when it stands still: until then, which may take long on a busy machine, it goes on answering."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def ask(self, path: str) -> Any:
        """Of its monitoring port; None where it does not answer."""
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
    """The servers, by number from 0. Whoever starts some waits for them by `ready`."""

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
        """All that are alive have joined, and hold what any of them held when they had; others may go on writing.

        Whatever they write meanwhile is not waited for. AssertionError, with what was missing, after `READY_S`.
        """
        give_up = time.monotonic() + READY_S
        joined = await self._once_all_hold({}, give_up)
        await self._once_all_hold(_newest(joined), give_up)

    async def meta_leader(self) -> int:
        """Who leads JetStream as such; waits for an election."""
        return await self._known(self._meta_leader)

    async def leader(self, stream: str) -> int:
        """Who leads this stream; waits for an election."""
        return await self._known(lambda: self._leader(stream))

    async def consumer_host(self, stream: str) -> int:
        """Where a consumer of this stream is, as its server says; waits until there is one."""
        return await self._known(lambda: self._consumer_host(stream))

    async def _once_all_hold(self, goal: Mapping[str, int], give_up: float) -> "list[_State]":
        """What each says as soon as none misses anything."""
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
        said = await self._said("jsz")
        return self._number(said["meta_cluster"].get("leader")) if said is not None else None

    async def _leader(self, stream: str) -> int | None:
        said = await self._said("jsz?streams=1")
        kept = _stream(said, stream)
        return self._number(kept["cluster"].get("leader")) if kept is not None else None

    async def _consumer_host(self, stream: str) -> int | None:
        for i, server in enumerate(self.servers):
            said = await server.ask("jsz?streams=1&consumers=1") if server.is_alive else None
            if (_stream(said, stream) or {}).get("consumer_detail"):
                return i
        return None

    async def _said(self, path: str) -> Any:
        """By the first that answers; None where none does."""
        for server in self.servers:
            if server.is_alive and (said := await server.ask(path)) is not None:
                return said
        return None

    def _number(self, name: str | None) -> int | None:
        return next((i for i, server in enumerate(self.servers) if server.name == name), None)


@dataclass(frozen=True, slots=True)
class _State:
    """What one server says of itself: what keeps it from being one of the cluster, and how far its streams are."""

    server: str
    troubles: list[str]
    newest: dict[str, int]

    def missing(self, goal: Mapping[str, int]) -> list[str]:
        behind = [
            f"{stream} at {self.newest.get(stream)} of {newest}"
            for stream, newest in goal.items()
            if self.newest.get(stream, -1) < newest
        ]
        return [f"{self.server}: {one}" for one in [*self.troubles, *behind]]


def _newest(states: Iterable[_State]) -> dict[str, int]:
    """Stream → the newest revision that any of them holds. A server stores only what a majority has agreed on."""
    newest: dict[str, int] = {}
    for state in states:
        for stream, revision in state.newest.items():
            newest[stream] = max(revision, newest.get(stream, 0))
    return newest


async def _state(server: NatsServer) -> _State:
    health = await server.ask("healthz?js-meta-only=true")
    said = await server.ask("jsz?streams=1")
    if health is None or said is None:
        return _State(server.name, ["no answer"], {})
    troubles = [] if health.get("status") == "ok" else [str(health.get("error"))]
    troubles += [f"{each['name']} has no leader" for each in _streams(said) if _is_leaderless(each)]
    return _State(server.name, troubles, {each["name"]: each["state"]["last_seq"] for each in _streams(said)})


def _is_leaderless(stream: Any) -> bool:
    return "cluster" in stream and not stream["cluster"].get("leader")


def _stream(said: Any, name: str) -> Any:
    return next((each for each in _streams(said or {}) if each["name"] == name), None)


@asynccontextmanager
async def nats_rig(folder: Path, servers: int = 1, arguments: Sequence[str] = ()) -> AsyncIterator[NatsRig]:
    """Started and ready; ended at the end, whatever the test did to them. `arguments` are further ones for each."""
    rig = NatsRig(folder, servers, arguments)
    try:
        await rig.start_all()
        yield rig
    finally:
        await rig.stop_all()


def _streams(said: Any) -> list[Any]:
    return [stream for account in said.get("account_details", []) for stream in account.get("stream_detail", [])]
