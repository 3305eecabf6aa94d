"""The machine that the figures were taken on."""

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
    """What a reader needs in order to compare it with his own."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    libraries: dict[str, str]

    @property
    def in_words(self) -> str:
        """One paragraph."""
        return in_words(asdict(self))


def in_words(machine: Mapping[str, Any]) -> str:
    """What `as_dict` gave, as one paragraph."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gib']:g} GiB, {machine['system']}; "
        f"Python {machine['python']} with {libraries}."
    )


def describe_machine() -> Machine:
    """This one."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        libraries={name: version(name) for name in LIBRARIES},
    )


def as_dict(machine: Machine) -> dict[str, object]:
    """For the results' JSON."""
    return asdict(machine)


def _processor() -> str:
    """The model's name where the kernel tells it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
