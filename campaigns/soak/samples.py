"""Samples of a process's resources and the comparison of the first and the last quarter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from typing_extensions import override

KIB = 1024
TASKS = "comfywarm_asyncio_tasks "


@dataclass(frozen=True)
class Sample:
    """One sample. `tasks` is None if unknown; `entries` is the length of the event log."""

    at_s: float
    rss_mib: float
    descriptors: int
    tasks: int | None
    entries: int
    journal_mib: float


@dataclass(frozen=True)
class Row:
    """A figure's medians in the first and the last quarter."""

    name: str
    first: float
    last: float
    allowed: float
    """The increase, as a share of the first median, above which the figure grows."""

    @property
    def grows(self) -> bool:
        return self.last > self.first * (1 + self.allowed)

    @override
    def __str__(self) -> str:
        change = (self.last / self.first - 1) * 100 if self.first else 0.0
        verdict = "GROWS" if self.grows else "steady"
        return f"{self.name:<16}{self.first:>10.1f}{self.last:>10.1f}{change:>+9.1f} %  {verdict}"


def resident_mib(pid: int) -> float:
    """Return the process's resident memory in MiB."""
    return _memory_mib(pid, "VmRSS:")


def peak_mib(pid: int) -> float:
    """Return the highest resident memory that the process has had, in MiB."""
    return _memory_mib(pid, "VmHWM:")


def _memory_mib(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / KIB
    raise ProcessLookupError(f"process {pid} has no memory")


def descriptors(pid: int) -> int:
    """Return the number of open files and sockets."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def tasks_in(metrics: str) -> int | None:
    """Return the number of asyncio tasks in a response of /metrics, or None."""
    found = next((line for line in metrics.splitlines() if line.startswith(TASKS)), None)
    return None if found is None else int(float(found.removeprefix(TASKS)))


def compare(samples: Sequence[Sample]) -> list[Row]:
    """Compare the quarters. Raises ValueError for fewer than eight samples."""
    if len(samples) < 8:
        raise ValueError(f"at least 8 samples are needed, there are {len(samples)}: run longer")
    rows = [
        _row(samples, "RSS MiB", lambda one: one.rss_mib, 0.10),
        _row(samples, "descriptors", lambda one: one.descriptors, 0.10),
    ]
    if samples[0].tasks is not None:
        rows.append(_row(samples, "asyncio tasks", lambda one: one.tasks or 0, 0.10))
    return rows


def rate(samples: Sequence[Sample]) -> float:
    """Return the log entries per second between the first and the last sample."""
    return (samples[-1].entries - samples[0].entries) / (samples[-1].at_s - samples[0].at_s)


def quarters(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the first and the last quarter of the samples."""
    size = len(samples) // 4
    return samples[:size], samples[-size:]


def _row(samples: Sequence[Sample], name: str, value: Callable[[Sample], float], allowed: float) -> Row:
    first, last = quarters(samples)
    return Row(name, median(map(value, first)), median(map(value, last)), allowed)
