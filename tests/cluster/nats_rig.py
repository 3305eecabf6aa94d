"""Real NATS servers on 127.0.0.1, one or a cluster, to be killed, frozen and started again with what they had kept.

async with nats_rig(folder, servers=3) as rig:
    async with connected(NatsOptions(urls=rig.urls)) as store:
        await rig.kill(await rig.leader("comfywarm_log"))
"""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Sequence
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

    def signal(self, what: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(what)

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
        self.servers[i].signal(signal.SIGSTOP)

    def resume(self, i: int) -> None:
        self.servers[i].signal(signal.SIGCONT)

    async def ready(self) -> None:
        """All that are alive have come up to date with what is kept, and know the leader of JetStream."""
        give_up = time.monotonic() + READY_S
        while not all([await self._is_ready(server) for server in self.servers if server.is_alive]):
            assert time.monotonic() < give_up, f"no NATS within {READY_S} s"
            await asyncio.sleep(POLL_S)

    async def meta_leader(self) -> int:
        """Who leads JetStream as such."""
        return self._number((await self._said("jsz"))["meta_cluster"]["leader"])

    async def leader(self, stream: str) -> int:
        """Who leads this stream."""
        return self._number((await self._stream(stream))["cluster"]["leader"])

    async def consumer_hosts(self, stream: str) -> set[int]:
        """Where the consumers of this stream are, as their servers say."""
        hosts = set()
        for i, server in enumerate(self.servers):
            said = await server.ask("jsz?streams=1&consumers=1") if server.is_alive else None
            if said is not None and any(
                each["name"] == stream and each.get("consumer_detail") for each in _streams(said)
            ):
                hosts.add(i)
        return hosts

    async def _stream(self, name: str) -> Any:
        return next(each for each in _streams(await self._said("jsz?streams=1")) if each["name"] == name)

    async def _said(self, path: str) -> Any:
        for server in self.servers:
            if server.is_alive and (said := await server.ask(path)) is not None:
                return said
        raise AssertionError("no NATS server answers")

    async def _is_ready(self, server: NatsServer) -> bool:
        health = await server.ask("healthz")
        if health is None or health.get("status") != "ok":
            return False
        return len(self.servers) == 1 or bool((await server.ask("jsz"))["meta_cluster"].get("leader"))

    def _number(self, name: str) -> int:
        return [server.name for server in self.servers].index(name)


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
