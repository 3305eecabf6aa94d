"""What several daemons need of the engine between them, and nothing else of it: the seam where tests put another.

A log that numbers what is appended; buckets whose keys change only by compare-and-set; words between nodes that may be
lost. `nats/` is the real one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Dataset(StrEnum):
    """Data that the nodes share and follow. `LOG` is append-only; the others keep the latest value per key."""

    LOG = "log"
    NODES = "nodes"
    SERVERS = "servers"
    SHARED = "shared"


class CutOffError(Exception):
    """The store did not answer in time, or cannot be reached. Whether a write was done is not known."""


class ClusterUnavailableError(Exception):
    """A daemon cannot be a node: a package is missing, or no server of the engine answers."""


class ConflictError(Exception):
    """The key has another revision than the one that was expected: somebody else has written it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One value. `revision` is the number of the write within its dataset, rising; `key` is empty in the log."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What has come, in order of revision. `caught_up`: nothing more was there when the last of it was read."""

    kept: Sequence[Kept]
    caught_up: bool


class SharedStore(Protocol):
    """Every call but `follow` and `tell` ends within `timeout_s`, by CutOffError if by nothing else."""

    @property
    def lineage(self) -> int:
        """A number (1 to 2**31 - 1) that tells this log from one that was made anew and numbers from 1 again."""
        ...

    async def append(self, value: bytes, message_id: str) -> int:
        """Append to the log; its number once most of the engine's servers have it.

        Appending again under the same id within two minutes gives the first number and changes nothing.
        """
        ...

    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        """Replace the value written as `revision` (0: there is none yet); its new revision. ConflictError otherwise."""
        ...

    async def get(self, bucket: Dataset, key: str) -> Kept | None:
        """The newest value, as the engine's leader knows it; None where there is none."""
        ...

    def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        """All that is kept with a revision above `after`, and then what comes, for ever: interruptions are waited out.

        Nothing is left out and nothing comes twice, but that a bucket keeps only the newest value of each key. Where
        there is nothing to begin with, an empty batch says so. Whoever stops reading closes the generator.
        """
        ...

    def tell(self, subject: str, value: bytes) -> None:
        """Say something to all who hear this subject now, ourselves excepted; it may be lost."""
        ...

    async def hear(self, subject: str, heard: Callable[[bytes], None]) -> None:
        """Call `heard` with whatever others tell under this subject from now on. It must not raise."""
        ...

    async def ask(self, subject: str, value: bytes) -> bytes:
        """What whoever answers this subject says. CutOffError where nobody does."""
        ...

    async def answer(self, subject: str, answered: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Answer whatever is asked under this subject from now on."""
        ...
