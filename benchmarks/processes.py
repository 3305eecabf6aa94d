"""The measured processes: the daemon, and the baselines; and what the kernel says that they use."""

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
START_WITHIN_S = 60.0
STOP_WITHIN_S = 30.0


def allow_descriptors() -> None:
    """Raise this process's limit to what the system allows; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(frozen=True, slots=True)
class Child:
    """A running process that says on its stdout, in JSON lines, what it has to say."""

    process: asyncio.subprocess.Process

    async def said(self, within_s: float = START_WITHIN_S) -> dict[str, Any]:
        """The next line; RuntimeError where it ends without one."""
        assert self.process.stdout is not None  # noqa: S101 - all are started with a pipe
        async with asyncio.timeout(within_s):
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError("the measured process has ended without a word; see what it wrote on stderr")
        said: dict[str, Any] = orjson.loads(line)
        return said

    def cpu_s(self) -> float:
        """Processor time used until now by all threads that live, to the nanosecond; /proc/PID/stat counts in 10 ms."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory_bytes(self) -> int:
        """Resident memory that is its own (what it shares with others counts in part: PSS)."""
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the kernel does not say how much memory the process uses")


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[Child]:
    """A Python process of this interpreter; it is asked to stop at the end, and killed where it does not."""
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
        async with asyncio.timeout(STOP_WITHIN_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def baseline(name: str, said: Mapping[str, Any]) -> AsyncIterator[Child]:
    """The baseline of that name, told `said` as JSON on its command line."""
    async with started("-m", f"benchmarks.baselines.{name}", orjson.dumps(said).decode()) as child:
        yield child


@dataclass(frozen=True, slots=True)
class Daemon:
    """The real daemon, listening at `host` and `port`."""

    child: Child
    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a trailing slash."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def daemon(
    urls: Sequence[str], settings: Mapping[str, Any] | None = None, launcher: Sequence[str] = ("run.py",)
) -> AsyncIterator[Daemon]:
    """The daemon over these servers, in a process of its own, as soon as its port is open.

    `settings` are added to the usual ones. `launcher` is what Python runs in place of `run.py`.
    """
    host, port = "127.0.0.1", free_port()
    with tempfile.TemporaryDirectory(prefix="comfywarm-bench-") as folder:
        path = Path(folder, "settings.json")
        said = {
            "listen": {"host": host, "port": port},
            "data_dir": folder,
            "workflows_dir": str(REPOSITORY / "workflows"),
            "servers": list(urls),
            "logging": {"level": "WARNING"},
            **(settings or {}),
        }
        path.write_bytes(orjson.dumps(said))  # noqa: ASYNC240 - before anything is measured
        async with started(*launcher, "--settings", str(path), "serve") as child:
            await _until_open(child, host, port)
            yield Daemon(child, host, port)


def free_port() -> int:
    """A port of loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _until_open(child: Child, host: str, port: int) -> None:
    async with asyncio.timeout(START_WITHIN_S):
        while child.process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
    raise RuntimeError("the daemon has ended before it listened; see what it wrote on stderr")
