"""A real Prometheus with the shipped configuration, sped up, that scrapes a real daemon over simulated servers."""

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

from campaigns.kill.process import DaemonProcess
from statemachine.simulator import PROFILES, SimFleet
from statemachine.simulator.fleet import running_fleet
from tests.deploy.promql import CONFIGURATION, RULES
from tests.support.paths import WORKFLOWS
from tests.support.ports import free_port

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
    """Run a program to its end. Return its exit code and output."""
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=PIPE, stdout=PIPE, stderr=STDOUT)
    output, _ = await asyncio.wait_for(process.communicate(stdin), PATIENCE_S)
    return process.returncode or 0, output.decode()


class Prometheus:
    """A Prometheus process on its own port. It writes only to `folder`."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self.configuration = folder / "prometheus.yml"
        self.log = folder / "prometheus.log"
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._session = session
        self._process: Process | None = None

    def configure(self, target: str) -> None:
        """Write the shipped files with another target address and all durations set to one second."""
        text = CONFIGURATION.read_text(encoding="utf-8").replace(SHIPPED_TARGET, target)
        self.configuration.write_text(re.sub(r"interval: \w+", "interval: 1s", text), encoding="utf-8")
        rules = re.sub(r"for: \w+", "for: 1s", RULES.read_text(encoding="utf-8"))
        (self._folder / RULES.name).write_text(rules, encoding="utf-8")

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
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
        assert self._process.returncode is None, self.output()
        try:
            async with self._session.get(f"http://{self.address}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    async def end(self) -> None:
        """Terminate the process and wait for it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await asyncio.wait_for(self._process.wait(), PATIENCE_S)

    def output(self) -> str:
        """Return its warnings and errors."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def get(self, path: str, **parameters: str) -> Any:
        """Return the `data` of an API answer. An error or a warning in it fails the test."""
        async with self._session.get(f"http://{self.address}/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", (parameters, answer)
        assert not answer.get("warnings"), (parameters, answer)
        return answer["data"]

    async def query(self, expression: str) -> list[tuple[Mapping[str, str], float]]:
        """Evaluate an expression. Return the labels and the value of each series."""
        found = (await self.get("query", query=expression))["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    async def targets(self, job: str) -> list[Any]:
        """Return the active targets of a job."""
        found = (await self.get("targets", state="active"))["activeTargets"]
        return [one for one in found if one["scrapePool"] == job]

    async def own_metric(self, name: str, **labels: str) -> float:
        """Return a value from its own /metrics: that of the only series with these labels, among others."""
        async with self._session.get(f"http://{self.address}/metrics") as response:
            families = list(text_string_to_metric_families(await response.text()))
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        (found,) = [sample for sample in samples if labels.items() <= sample.labels.items()]
        return found.value

    async def alerts(self, name: str, state: str = "firing") -> list[Any]:
        """Return the alerts with this name and state."""
        found = (await self.get("alerts"))["alerts"]
        return [one for one in found if one["labels"]["alertname"] == name and one["state"] == state]


@dataclass(frozen=True)
class Deployment:
    """The simulated fleet, the daemon and Prometheus."""

    fleet: SimFleet
    daemon: DaemonProcess
    prometheus: Prometheus
    session: aiohttp.ClientSession

    async def status(self) -> Any:
        """Return /api/status."""
        async with self.session.get(f"{self.daemon.address}/api/status") as response:
            return await response.json()

    async def metrics(self) -> bytes:
        """Return /metrics in the text format."""
        async with self.session.get(f"{self.daemon.address}/metrics") as response:
            return await response.read()


async def until(probe: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Call `probe` until its result is truthy. Return that result."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := await probe()):
        assert time.monotonic() < deadline, f"{probe} is still false after {PATIENCE_S:g} s"
        await asyncio.sleep(POLL_S)
    return found


@asynccontextmanager
async def deployed(folder: Path) -> AsyncIterator[Deployment]:
    """Run simulated servers in this process, and the daemon and Prometheus as separate processes."""
    groups, names = zip(*((group, name) for group, row in GROUPS.items() for name in row), strict=True)
    profiles = [replace(PROFILES[name], evict_every=None) for name in names]
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(running_fleet(profiles, scale=SCALE, groups=groups))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        daemon = await stack.enter_async_context(DaemonProcess(folder, _settings(fleet)).running())
        prometheus = Prometheus(folder, session)
        prometheus.configure(daemon.address.removeprefix("http://"))
        stack.push_async_callback(prometheus.end)
        await prometheus.start()
        yield Deployment(fleet, daemon, prometheus, session)


def _settings(fleet: SimFleet) -> dict[str, Any]:
    return {
        "servers": [{"url": member.url, "group": member.group} for member in fleet.members],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": {"max_warming": 8, "max_warming_per_host": 8},
    }
