"""The shared store over NATS."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from loguru import logger
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from typing_extensions import override

from statemachine.cluster.nats import reader
from statemachine.cluster.nats.connection import NATS_ERRORS, Connection, NatsOptions, cancel_all, describe
from statemachine.cluster.nats.layout import DatasetStream, Layout, encode, ensure_streams, lineage_of
from statemachine.cluster.store import Batch, ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError

PREPARE_RETRY_S = 0.2

Result = TypeVar("Result")


@asynccontextmanager
async def connected(options: NatsOptions, patience_s: float = 15.0) -> AsyncIterator["NatsStore"]:
    """Yield the store once NATS is reached and all streams exist. Raises StoreUnavailableError after `patience_s`."""
    connection = Connection(options)
    running = asyncio.get_running_loop().create_task(connection.run())
    store = NatsStore(connection, options)
    try:
        await store.prepare(patience_s)
        yield store
    finally:
        await store.close()
        await cancel_all([running])


class NatsStore(SharedStore):
    """The store over one connection. Use `connected` to create it."""

    def __init__(self, connection: Connection, options: NatsOptions) -> None:
        self._connection = connection
        self._options = options
        self._layout = Layout(options.prefix)
        self._streams: dict[Dataset, DatasetStream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a connection to NATS."""
        return self._connection.is_connected

    @property
    @override
    def lineage(self) -> int:
        return lineage_of(self._streams[Dataset.LOG])

    async def prepare(self, patience_s: float) -> None:
        """Create missing streams; retry for `patience_s` while NATS is not ready, then raise StoreUnavailableError."""
        give_up = asyncio.get_running_loop().time() + patience_s
        while True:
            try:
                self._streams = await self._call(self._ensure_streams())
            except StoreUnavailableError as error:
                if asyncio.get_running_loop().time() > give_up:
                    raise StoreUnavailableError(self._connection.last_error or str(error)) from error
                logger.debug("NATS is not ready: {}", error)
                await asyncio.sleep(PREPARE_RETRY_S)
            else:
                return

    async def close(self) -> None:
        """Cancel messages and responses that are being sent."""
        await cancel_all(self._tasks)

    @override
    async def append(self, value: bytes, message_id: str) -> int:
        headers = {Header.MSG_ID.value: message_id}
        ack = await self._call(self._js().publish(self._layout.log_subject, value, headers=headers))
        return ack.seq

    @override
    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        try:
            return await self._call(_write(self._bucket(bucket), encode(key), value, revision))
        except (KeyWrongLastSequenceError, KeyNotFoundError) as error:  # not found: it was purged meanwhile
            raise ConflictError(f"{key} in {bucket} is not at revision {revision}") from error

    @override
    async def get(self, bucket: Dataset, key: str) -> StoredValue | None:
        try:
            entry = await self._call(self._bucket(bucket).get(encode(key)))
        except KeyNotFoundError:
            return None
        return StoredValue(key, entry.value or b"", entry.revision or 0)

    @override
    async def forget(self, bucket: Dataset, key: str, revision: int) -> None:
        stream, subject = self._streams[bucket].name, self._streams[bucket].key_prefix + encode(key)
        await self._call(self._js().purge_stream(stream, seq=revision + 1, subject=subject))

    @override
    def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        return reader.follow(self._connection, self._streams[dataset], after)

    @override
    def publish(self, subject: str, value: bytes) -> None:
        if self._connection.is_connected:
            self._spawn(self._publish(self._layout.message_subject(subject), value))

    @override
    async def subscribe(self, subject: str, on_message: Callable[[bytes], None]) -> None:
        async def handle(message: Msg) -> None:
            on_message(message.data)

        await self._call(self._connection.subscribe(self._layout.message_subject(subject), handle))

    @override
    async def request(self, subject: str, value: bytes) -> bytes:
        client, timeout_s = self._connection.client, self._options.timeout_s
        response = await self._call(client.request(self._layout.request_subject(subject), value, timeout=timeout_s))
        return response.data

    @override
    async def respond(self, subject: str, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
        async def handle(message: Msg) -> None:
            self._spawn(_respond(message, handler))

        await self._call(self._connection.subscribe(self._layout.request_subject(subject), handle))

    async def _ensure_streams(self) -> dict[Dataset, DatasetStream]:
        await self._connection.wait_connected()
        return await ensure_streams(self._js(), self._options)

    def _js(self) -> JetStreamContext:
        return self._connection.client.jetstream(timeout=self._options.timeout_s)

    def _bucket(self, bucket: Dataset) -> KeyValue:
        return self._layout.key_value(bucket, self._js())

    async def _call(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Return the result within the timeout; raise StoreUnavailableError for every error except key errors."""
        try:
            async with self._connection.deadline(self._options.timeout_s):
                return await call
        except (KeyNotFoundError, KeyWrongLastSequenceError):
            raise
        except NATS_ERRORS as error:
            raise StoreUnavailableError(describe(error)) from error

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self, subject: str, value: bytes) -> None:
        with suppress(StoreUnavailableError):
            await self._call(self._connection.client.publish(subject, value))


async def _write(bucket: KeyValue, key: str, value: bytes, revision: int) -> int:
    """Write the key; `create` also works for a key that was deleted by hand."""
    try:
        if revision == 0:
            return await bucket.create(key, value)
        return await bucket.update(key, value, last=revision)
    except KeyWrongLastSequenceError:
        await _check_conflict(bucket, key, revision)
        raise


async def _check_conflict(bucket: KeyValue, key: str, revision: int) -> None:
    """Raise StoreUnavailableError if the conflict contradicts the key's latest revision.

    A leader that was stopped and replaced still rejects writes for a moment because it lacks what it missed. The new
    leader receives the same write and may apply it.
    """
    with suppress(KeyNotFoundError):
        newest = (await bucket.get(key)).revision or 0
        if newest <= revision:
            raise StoreUnavailableError(
                f"NATS rejected a write of {key} at {revision}, but its latest revision is {newest}"
            )


async def _respond(message: Msg, handler: Callable[[bytes], Awaitable[bytes]]) -> None:
    try:
        await message.respond(await handler(message.data))
    except NATS_ERRORS as error:
        logger.debug("a response could not be sent: {}", describe(error))
    except Exception:
        logger.exception("a request failed")
