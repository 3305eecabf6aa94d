"""A real Prometheus, with the shipped configuration made quicker, that watches a real daemon over simulated servers."""

import asyncio
import re
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from statemachine.simulator import PERSONAS, Fleet
from statemachine.simulator.fleet import running_fleet
from tests.comfyui.rig import free_port
from tests.deploy.expressions import CONFIGURATION, RULES
from tests.kill.process import REPOSITORY, DaemonProcess

PATIENCE_S = 30.0
POLL_S = 0.2
SCALE = 0.05
"""A warm-up takes 0.8 s."""
TIMING = {"check_interval_s": 1, "retry_s": 0.1, "failed_retry_s": 2, "lost_grace_s": 1, "link_backoff_max_s": 0.5}
GROUPS = {
    "public": ("loaded", "cold", "evicting"),
    "lab": ("missing_nodes", "out_of_memory", "inspire", "cold"),
}
SHIPPED_TARGET = "127.0.0.1:8799"

T = TypeVar("T")


async def run(program: str, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, str]:
    """A program to its end: exit code, and all it said."""
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    said, _ = await asyncio.wait_for(process.communicate(stdin), PATIENCE_S)
    return process.returncode or 0, said.decode()


class Prometheus:
    """One Prometheus on a port of its own; it writes into `folder` only."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.configuration = folder / "prometheus.yml"
        self.log = folder / "prometheus.log"
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._session = session
        self._process: Process | None = None

    def configure(self, target: str) -> None:
        """The shipped files, with another address and all waits of a second."""
        text = CONFIGURATION.read_text(encoding="utf-8").replace(SHIPPED_TARGET, target)
        self.configuration.write_text(re.sub(r"interval: \w+", "interval: 1s", text), encoding="utf-8")
        rules = re.sub(r"for: \w+", "for: 1s", RULES.read_text(encoding="utf-8"))
        (self._folder / RULES.name).write_text(rules, encoding="utf-8")

    async def start(self) -> None:
        """Begin, and wait until it is ready."""
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "prometheus",
                f"--config.file={self.configuration}",
                f"--storage.tsdb.path={self._folder / 'tsdb'}",
                f"--web.listen-address={self.address}",
                "--log.level=warn",
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
            )
        await until(self._is_ready)

    async def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.said()
        try:
            async with self._session.get(f"http://{self.address}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def end(self) -> None:
        """Ask it to leave, and wait."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    def said(self) -> str:
        """Its warnings and errors."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its API. AssertionError where it refuses, or has a warning."""
        async with self._session.get(f"http://{self.address}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", (parameters, answer)
        assert not answer.get("warnings"), (parameters, answer)
        return answer["data"]

    async def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """What an expression comes to now: labels and value of each series."""
        found = (await self.ask("query", query=expression))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    async def targets(self, job: str) -> list[Any]:
        """What is scraped for a job."""
        found = (await self.ask("targets", state="active"))["activeTargets"]
        return [one for one in found if one["scrapePool"] == job]

    async def own_figure(self, name: str, **labels: str) -> float:
        """The value of the one series of its own /metrics that has these labels among others."""
        async with self._session.get(f"http://{self.address}/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        (found,) = [sample for sample in samples if labels.items() <= sample.labels.items()]
        return found.value

    async def alerts(self, name: str, state: str = "firing") -> list[Any]:
        """The alerts of that name which are in that state."""
        found = (await self.ask("alerts"))["alerts"]
        return [one for one in found if one["labels"]["alertname"] == name and one["state"] == state]


@dataclass(frozen=True)
class Scene:
    """All that runs."""

    fleet: Fleet
    daemon: DaemonProcess
    prometheus: Prometheus
    session: aiohttp.ClientSession

    async def status(self) -> Any:
        """/api/status"""
        async with self.session.get(f"{self.daemon.address}/api/status") as response:
            return await response.json()

    async def metrics(self) -> bytes:
        """/metrics, in the text format."""
        async with self.session.get(f"{self.daemon.address}/metrics") as response:
            return await response.read()


async def until(come: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Ask again and again until what comes is true (not empty); that."""
    give_up = time.monotonic() + PATIENCE_S
    while not (found := await come()):
        assert time.monotonic() < give_up, f"{come} has not come true within {PATIENCE_S:g} s"
        await asyncio.sleep(POLL_S)
    return found


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Servers in this process, the daemon and Prometheus as processes of their own."""
    groups, names = zip(*((group, name) for group, row in GROUPS.items() for name in row), strict=True)
    personas = [replace(PERSONAS[name], evict_every=None) for name in names]
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(running_fleet(personas, scale=SCALE, groups=groups))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        daemon = DaemonProcess(folder, _settings(fleet))
        stack.push_async_callback(daemon.end)
        await daemon.start()
        await daemon.until_answering()
        prometheus = Prometheus(folder, session)
        prometheus.configure(daemon.address.removeprefix("http://"))
        stack.push_async_callback(prometheus.end)
        await prometheus.start()
        yield Scene(fleet, daemon, prometheus, session)


def _settings(fleet: Fleet) -> dict[str, Any]:
    return {
        "servers": [{"url": member.url, "group": member.group} for member in fleet.members],
        "workflows_dir": str(REPOSITORY / "workflows"),
        "timing": TIMING,
        "limits": {"max_warming": 8, "max_warming_per_host": 8},
    }
