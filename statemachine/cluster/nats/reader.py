"""Follow a stream with one consumer after another; a consumer is replaced at the first sign of an error.

A consumer lives on one NATS server and ends with it, sometimes without notice; nats-py's watchers and ordered
consumers then wait indefinitely. Here the consumer must send idle heartbeats, and silence counts as an error.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import NotFoundError
from nats.js.kv import KV_MARKER_REASON, KV_OP

from statemachine.cluster.nats.connection import Connection, describe
from statemachine.cluster.nats.layout import DatasetStream
from statemachine.cluster.store import Batch, StoredValue, StoreUnavailableError

HEARTBEAT_S = 0.5
SILENCE_S = 2.0
"""Four missed heartbeats."""
START_S = 2.0
INACTIVE_S = 10.0
"""NATS removes a consumer that has had no subscriber for this time."""
BATCH_SIZE = 500
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 0.5
CONTROL_STATUS = "100"
"""The status of heartbeats and flow control requests."""
LAST_OF_CONSUMER = "Nats-Last-Consumer"


class StreamRecreatedError(Exception):
    """The stream was deleted and created again, so its numbers start again at 1."""


async def follow(connection: Connection, stream: DatasetStream, after: int) -> AsyncGenerator[Batch, None]:
    """Implement `SharedStore.follow`. If the stream was deleted, wait; one created later is not followed."""
    position, is_caught_up, pause_s = after, False, FIRST_PAUSE_S
    while True:
        await connection.wait_connected()
        try:
            async with _reading(connection, stream, position) as reader:
                while True:
                    batch = await reader.read()
                    if batch.values or batch.removed or (batch.caught_up and not is_caught_up):
                        is_caught_up, pause_s = batch.caught_up, FIRST_PAUSE_S
                        yield batch
                    position = reader.position
        except Exception as error:  # nats-py also raises errors of other libraries
            is_first = pause_s == FIRST_PAUSE_S
            level = "WARNING" if is_first and isinstance(error, (NotFoundError, StreamRecreatedError)) else "DEBUG"
            logger.log(level, "retrying to read {} after {}: {}", stream.name, position, describe(error))
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_PAUSE_S)


@asynccontextmanager
async def _reading(connection: Connection, stream: DatasetStream, position: int) -> AsyncIterator["Reader"]:
    wake = asyncio.Event()
    reader = Reader(connection.client, wake, stream, position)
    connection.wakes.add(wake)
    try:
        async with connection.deadline(START_S):
            await reader.start()
        yield reader
    finally:
        connection.wakes.discard(wake)
        await reader.stop()


class Reader:
    """One consumer of the values above `position`, in order. It raises if a message may have been lost."""

    def __init__(self, client: Client, wake: asyncio.Event, stream: DatasetStream, position: int) -> None:
        self.position = position
        self._client = client
        self._stream = stream
        self._messages: deque[Msg] = deque()
        self._wake = wake
        self._subscription: Subscription | None = None
        self._delivered = 0
        self._pending = 0
        self._newest = 0

    async def start(self) -> None:
        inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(inbox, cb=self._on_message)
        js = self._client.jetstream(timeout=START_S)
        self._newest = await self._newest_revision(js)
        consumer = await js.add_consumer(self._stream.name, self._config(inbox), timeout=START_S)
        self._pending = consumer.num_pending or 0
        if self._is_caught_up:
            self._wake.set()

    async def read(self) -> Batch:
        """Return what has arrived. The batch is empty if the stream is, and may be empty at any later time."""
        await self._wait()
        stored: list[StoredValue] = []
        removed: list[StoredValue] = []
        for _ in range(min(len(self._messages), BATCH_SIZE)):
            message = self._messages.popleft()
            if message.headers and Header.STATUS in message.headers:
                await self._on_control(message, message.headers)
            else:
                (removed if _is_removal(message) else stored).append(self._accept(message))
        if not self._messages:
            self._wake.clear()
        return Batch(stored, self._is_caught_up, tuple(removed))

    async def stop(self) -> None:
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()

    async def _newest_revision(self, js: JetStreamContext) -> int:
        """Return the newest revision that the leader knows; 0 for an empty stream."""
        info = await js.stream_info(self._stream.name)
        if info.created != self._stream.created:
            raise StreamRecreatedError(f"the stream was created at {info.created}, not at {self._stream.created}")
        return info.state.last_seq if info.state.messages else 0

    def _config(self, inbox: str) -> ConsumerConfig:
        return ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.position + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_S,
            inactive_threshold=INACTIVE_S,
        )

    @property
    def _is_caught_up(self) -> bool:
        """The consumer's server may lag behind the leader, so both counts matter."""
        return self._pending == 0 and self.position >= self._newest

    async def _on_message(self, message: Msg) -> None:
        self._messages.append(message)
        self._wake.set()

    async def _wait(self) -> None:
        async with asyncio.timeout(SILENCE_S):
            await self._wake.wait()
        if not self._client.is_connected:
            raise StoreUnavailableError("the connection was lost")

    def _accept(self, message: Msg) -> StoredValue:
        """Return the message's value, which is empty for a removal."""
        about = message.metadata
        self._delivered += 1
        if about.sequence.consumer != self._delivered:
            raise StoreUnavailableError(f"expected message {self._delivered}, received {about.sequence.consumer}")
        self._pending = about.num_pending
        self.position = about.sequence.stream
        return StoredValue(self._stream.key_of(message.subject), message.data, self.position)

    async def _on_control(self, message: Msg, headers: dict[str, str]) -> None:
        if headers[Header.STATUS] != CONTROL_STATUS:
            raise StoreUnavailableError(f"the consumer reports {headers}")
        reply_to = message.reply or headers.get(Header.CONSUMER_STALLED)
        if reply_to:
            await self._client.publish(reply_to)
        elif int(headers.get(LAST_OF_CONSUMER, 0)) != self._delivered:
            raise StoreUnavailableError("messages were lost")
        else:
            self._pending = self._newest = 0  # it is idle, so values it still counted as pending were removed


def _is_removal(message: Msg) -> bool:
    """Return whether the message marks a key as deleted, as an operator may do."""
    return bool(message.headers and (KV_OP in message.headers or KV_MARKER_REASON in message.headers))
