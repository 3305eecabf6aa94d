"""The measured processes, and the memory and processor time that they use."""

import asyncio
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

REPOSITORY = Path(__file__).parent.parent
START_TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 30.0


def allow_descriptors() -> None:
    """Raise the limit of open files to the maximum; child processes inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class Child:
    """A running process that reports on stdout, in JSON lines."""

    process: asyncio.subprocess.Process

    async def read_line(self, timeout_s: float = START_TIMEOUT_S) -> dict[str, Any]:
        """Return the next line. Raises RuntimeError if the process ends without one."""
        assert self.process.stdout is not None  # noqa: S101 - all are started with a pipe
        async with asyncio.timeout(timeout_s):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the measured process ended without a report; see its messages on stderr")
        report: dict[str, Any] = orjson.loads(line)
        return report

    def cpu_s(self) -> float:
        """Return the processor time of all running threads, from schedstat, which counts nanoseconds."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_bytes(self) -> int:
        """Return the anonymous memory; that of shared libraries depends on which other processes map them."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Anonymous:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel does not report the anonymous memory of the process")


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Child]:
    """Run Python with these arguments; stop it with SIGTERM, or after STOP_TIMEOUT_S with SIGKILL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, limit=2**24
    )
    try:
        yield Child(process)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def baseline(name: str, options: Mapping[str, Any]) -> AsyncIterator[Child]:
    """Run the baseline of that name, with `options` as JSON on its command line."""
    async with started("-m", f"benchmarks.baselines.{name}", orjson.dumps(options).decode()) as child:
        yield child


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon or the gateway, listening at `host` and `port`."""

    child: Child
    host: str
    port: int

    @property
    def url(self) -> str:
        """Return the address, without a trailing slash."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def daemon(
    urls: Sequence[str], settings: Mapping[str, Any] | None = None, launcher: Sequence[str] = ("run.py",)
) -> AsyncIterator[Daemon]:
    """Run the daemon for these servers; yield it when its port is open.

    `settings` are added to the usual ones. `launcher` is what Python runs instead of `run.py`.
    """
    host, port = "127.0.0.1", free_port()
    content = {"listen": {"host": host, "port": port}, "servers": list(urls), **(settings or {})}
    async with _serving("serve", host, port, content, launcher) as ours:
        yield ours


@asynccontextmanager
async def gateway(urls: Sequence[str]) -> AsyncIterator[Daemon]:
    """Run the gateway for these servers, without a daemon; yield it when its port is open."""
    host, port = "127.0.0.1", free_port()
    content = {"servers": list(urls), "gateway": {"host": host, "port": port}}
    async with _serving("gateway", host, port, content) as ours:
        yield ours


@asynccontextmanager
async def _serving(
    command: str, host: str, port: int, settings: Mapping[str, Any], launcher: Sequence[str] = ("run.py",)
) -> AsyncIterator[Daemon]:
    """Run a command of the CLI with these settings; yield it when its port is open."""
    with tempfile.TemporaryDirectory(prefix="comfywarm-bench-") as folder:
        path = Path(folder, "settings.json")
        usual = {
            "data_dir": folder,
            "workflows_dir": str(REPOSITORY / "workflows"),
            "logging": {"level": "WARNING"},
        }
        path.write_bytes(orjson.dumps({**usual, **settings}))  # noqa: ASYNC240 - nothing is measured yet
        async with started(*launcher, "--settings", str(path), command) as child:
            await _wait_open(child, host, port)
            yield Daemon(child, host, port)


def free_port() -> int:
    """Return an unused TCP port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _wait_open(child: Child, host: str, port: int) -> None:
    async with asyncio.timeout(START_TIMEOUT_S):
        while child.process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise RuntimeError("the process ended before its port was open; see its messages on stderr")
