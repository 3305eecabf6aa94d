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
from statemachine.cluster.nats.connection import FAULTS, Connection, describe, end
from statemachine.cluster.nats.layout import Layout, Place, encode, lineage_of, prepare
from statemachine.cluster.nats.options import NatsOptions
from statemachine.cluster.store import Batch, ConflictError, CutOffError, Dataset, Kept, SharedStore

PREPARE_PAUSE_S = 0.2

Result = TypeVar("Result")


@asynccontextmanager
async def connected(options: NatsOptions, patience_s: float = 15.0) -> AsyncIterator["NatsStore"]:
    """The store, once the engine is reached and has all that it needs; CutOffError if not within `patience_s`."""
    connection = Connection(options)
    running = asyncio.get_running_loop().create_task(connection.run())
    store = NatsStore(connection, options)
    try:
        await store.prepare(patience_s)
        yield store
    finally:
        await store.close()
        await end([running])


class NatsStore(SharedStore):
    """See `SharedStore`. Made by `connected`."""

    def __init__(self, connection: Connection, options: NatsOptions) -> None:
        self._connection = connection
        self._options = options
        self._layout = Layout(options.prefix)
        self._places: dict[Dataset, Place] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether calls have a chance now."""
        return self._connection.is_up

    @property
    @override
    def lineage(self) -> int:
        return lineage_of(self._places[Dataset.LOG])

    async def prepare(self, patience_s: float) -> None:
        """Make what is missing in the engine, trying again where it is not ready."""
        give_up = asyncio.get_running_loop().time() + patience_s
        while True:
            try:
                self._places = await self._bounded(self._prepared())
            except CutOffError as error:
                if asyncio.get_running_loop().time() > give_up:
                    raise CutOffError(self._connection.trouble or str(error)) from error
                logger.debug("NATS is not ready: {}", error)
                await asyncio.sleep(PREPARE_PAUSE_S)
            else:
                return

    async def close(self) -> None:
        """Say nothing more, answer nothing more."""
        await end(self._tasks)

    @override
    async def append(self, value: bytes, message_id: str) -> int:
        headers = {Header.MSG_ID.value: message_id}
        ack = await self._bounded(self._js().publish(self._layout.log_subject, value, headers=headers))
        return ack.seq

    @override
    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        try:
            return await self._bounded(_write(self._bucket(bucket), encode(key), value, revision))
        except KeyWrongLastSequenceError as error:
            raise ConflictError(f"{bucket} {key} is not at {revision}") from error

    @override
    async def get(self, bucket: Dataset, key: str) -> Kept | None:
        try:
            entry = await self._bounded(self._bucket(bucket).get(encode(key)))
        except KeyNotFoundError:
            return None
        return Kept(key, entry.value or b"", entry.revision or 0)

    @override
    def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        return reader.follow(self._connection, self._places[dataset], after)

    @override
    def tell(self, subject: str, value: bytes) -> None:
        if self._connection.is_up:
            self._begin(self._tell(self._layout.told(subject), value))

    @override
    async def hear(self, subject: str, heard: Callable[[bytes], None]) -> None:
        async def ear(message: Msg) -> None:
            heard(message.data)

        await self._bounded(self._connection.subscribe(self._layout.told(subject), ear))

    @override
    async def ask(self, subject: str, value: bytes) -> bytes:
        client, timeout_s = self._connection.client, self._options.timeout_s
        answer = await self._bounded(client.request(self._layout.asked(subject), value, timeout=timeout_s))
        return answer.data

    @override
    async def answer(self, subject: str, answered: Callable[[bytes], Awaitable[bytes]]) -> None:
        async def ear(message: Msg) -> None:
            self._begin(_answer(message, answered))

        await self._bounded(self._connection.subscribe(self._layout.asked(subject), ear))

    async def _prepared(self) -> dict[Dataset, Place]:
        await self._connection.until_up()
        return await prepare(self._js(), self._options)

    def _js(self) -> JetStreamContext:
        return self._connection.client.jetstream(timeout=self._options.timeout_s)

    def _bucket(self, bucket: Dataset) -> KeyValue:
        return self._layout.key_value(bucket, self._js())

    async def _bounded(self, call: Coroutine[Any, Any, Result]) -> Result:
        """What it gives; CutOffError for whatever else NATS has to say, but for the answers that mean something."""
        try:
            async with self._connection.in_time(self._options.timeout_s):
                return await call
        except (KeyNotFoundError, KeyWrongLastSequenceError):
            raise
        except FAULTS as error:
            raise CutOffError(describe(error)) from error

    def _begin(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, subject: str, value: bytes) -> None:
        with suppress(CutOffError):
            await self._bounded(self._connection.client.publish(subject, value))


async def _write(bucket: KeyValue, key: str, value: bytes, revision: int) -> int:
    """`create` also takes the place of a key that somebody deleted by hand."""
    try:
        if revision == 0:
            return await bucket.create(key, value)
        return await bucket.update(key, value, last=revision)
    except KeyWrongLastSequenceError:
        await _believe(bucket, key, revision)
        raise


async def _believe(bucket: KeyValue, key: str, revision: int) -> None:
    """A leader that was frozen, and replaced meanwhile, says for a moment that what it has missed is not there.

    The new leader hears the same write, and may do it.
    """
    with suppress(KeyNotFoundError):
        newest = (await bucket.get(key)).revision or 0
        if newest <= revision:
            raise CutOffError(f"NATS contradicts itself: {key} is at {newest}, but not at {revision}")


async def _answer(message: Msg, answered: Callable[[bytes], Awaitable[bytes]]) -> None:
    try:
        await message.respond(await answered(message.data))
    except FAULTS as error:
        logger.debug("an answer was not given: {}", describe(error))
    except Exception:
        logger.exception("a question could not be answered")
