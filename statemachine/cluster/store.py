"""The port to the store that the nodes of a cluster share: a log, key-value buckets and messages between nodes.

`nats/` implements it; tests use a fake.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from statemachine.i18n.render import MessageError


class Dataset(StrEnum):
    """Data that the nodes share and follow. `LOG` is append-only; the others keep the latest value per key."""

    LOG = "log"
    NODES = "nodes"
    SERVERS = "servers"
    SHARED = "shared"


class StoreUnavailableError(Exception):
    """The store cannot be reached or did not answer in time. A write may or may not have been applied."""


class ClusterUnavailableError(MessageError):
    """The daemon cannot join a cluster: a package is missing, or no NATS server answers."""


class ConflictError(Exception):
    """The key is at another revision than the expected one: another client has written it."""


@dataclass(frozen=True, slots=True)
class StoredValue:
    """One value. `revision` is the number of its write within the dataset, rising; `key` is empty in the log."""

    key: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """New values in order of revision. `caught_up`: no more were stored when the last one was read.

    `removed` has the keys that were deleted, with the revision of the deletion, which `put` replaces.
    """

    values: Sequence[StoredValue]
    caught_up: bool
    removed: Sequence[StoredValue] = ()


class SharedStore(Protocol):
    """One node's connection. Every call except `follow` and `publish` ends within the store's timeout.

    A call that gets no answer in that time raises StoreUnavailableError.
    """

    @property
    def lineage(self) -> int:
        """A number (1 to 2**31 - 1) that identifies this log; a log that was deleted and created again has another."""
        ...

    async def append(self, value: bytes, message_id: str) -> int:
        """Append to the log; return the number of the entry once most of the store's servers have it.

        Appending again with the same id within two minutes returns the first number and changes nothing.
        """
        ...

    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        """Replace the value at `revision` (0: no value yet) and return the new revision; else raise ConflictError."""
        ...

    async def get(self, bucket: Dataset, key: str) -> StoredValue | None:
        """Return the latest value as the store's leader knows it, or None."""
        ...

    async def forget(self, bucket: Dataset, key: str, revision: int) -> None:
        """Delete the value without a trace, unless it was written after this revision. Followers are not informed."""
        ...

    def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        """Yield all values above revision `after`, then new ones indefinitely, across lost connections.

        No value is skipped or repeated, except that a bucket has only the latest value of each key. If there are none
        at first, the first batch is empty. The caller closes the generator.
        """
        ...

    def publish(self, subject: str, value: bytes) -> None:
        """Send a message to the other nodes that are subscribed now. It may be lost."""
        ...

    async def subscribe(self, subject: str, on_message: Callable[[bytes], None]) -> None:
        """Call `on_message`, which must not raise, with each message that other nodes publish.

        After StoreUnavailableError the subscription starts when the store can be reached again.
        """
        ...

    async def request(self, subject: str, value: bytes) -> bytes:
        """Send a request and return the response. Raises StoreUnavailableError if no node responds."""
        ...

    async def respond(self, subject: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
        """Respond to requests with what `handler` returns. After an error this starts later, as in `subscribe`."""
        ...
