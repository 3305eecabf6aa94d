"""A description of the machine that runs the benchmarks."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

LIBRARIES = ("aiohttp", "orjson", "transitions", "uvloop", "websockets")


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware, the system and the versions on which the figures depend."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    libraries: dict[str, str]

    @property
    def summary(self) -> str:
        """Return the description as one line."""
        return summary(asdict(self))


def summary(machine: Mapping[str, Any]) -> str:
    """Return the result of `as_dict` as one line."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']:g} GiB, {machine['system']}; "
        f"Python {machine['python']} with {libraries}."
    )


def this_machine() -> Machine:
    """Describe this machine."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
    )


def as_dict(machine: Machine) -> dict[str, object]:
    """Return the description for results.json."""
    return asdict(machine)


def _processor() -> str:
    """Return the model's name, or the architecture where the kernel does not report a name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
