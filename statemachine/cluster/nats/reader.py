"""Following a stream: one consumer after another, each of which is given up at the first sign that it is not well.

A consumer lives on one NATS server and ends with it, sometimes without a word; nats-py's watchers and ordered consumers
then wait for ever. Here silence is a sign too: an idle consumer is told to beat.
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
from statemachine.cluster.nats.layout import Place
from statemachine.cluster.store import Batch, CutOffError, Kept

BEAT_S = 0.5
SILENCE_S = 2.0
"""Four beats missed."""
BEGIN_S = 2.0
FORGET_S = 10.0
"""After which the engine removes a consumer that nobody hears."""
CHUNK = 500
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 0.5
CONTROL = "100"
"""The status of beats and of requests to say how far we have come."""
LAST_OF_CONSUMER = "Nats-Last-Consumer"


class MadeAnewError(Exception):
    """Somebody has removed the stream, and made it again: its numbers are others than those that we know."""


async def follow(connection: Connection, place: Place, after: int) -> AsyncGenerator[Batch, None]:
    """As `SharedStore.follow` has it. What was removed is waited for; only its own stream counts."""
    position, is_caught_up, pause_s = after, False, FIRST_PAUSE_S
    while True:
        await connection.until_up()
        try:
            async with _reading(connection, place, position) as reader:
                while True:
                    batch = await reader.read()
                    if batch.kept or (batch.caught_up and not is_caught_up):
                        is_caught_up, pause_s = batch.caught_up, FIRST_PAUSE_S
                        yield batch
                    position = reader.position
        except Exception as error:  # nats-py raises more than its own
            is_first = pause_s == FIRST_PAUSE_S
            level = "WARNING" if is_first and isinstance(error, (NotFoundError, MadeAnewError)) else "DEBUG"
            logger.log(level, "{} is read again from {} on: {}", place.stream, position, describe(error))
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, LAST_PAUSE_S)


@asynccontextmanager
async def _reading(connection: Connection, place: Place, position: int) -> AsyncIterator["Reader"]:
    wake = asyncio.Event()
    reader = Reader(connection.client, wake, place, position)
    connection.wakes.add(wake)
    try:
        async with connection.in_time(BEGIN_S):
            await reader.begin()
        yield reader
    finally:
        connection.wakes.discard(wake)
        await reader.end()


class Reader:
    """One consumer: what is kept above `position`, in order. It raises at any doubt."""

    def __init__(self, client: Client, wake: asyncio.Event, place: Place, position: int) -> None:
        self.position = position
        self._client = client
        self._place = place
        self._came: deque[Msg] = deque()
        self._wake = wake
        self._subscription: Subscription | None = None
        self._delivered = 0
        self._pending = 0
        self._leaders_last = 0

    async def begin(self) -> None:
        inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(inbox, cb=self._take)
        js = self._client.jetstream(timeout=BEGIN_S)
        self._leaders_last = await self._last(js)
        consumer = await js.add_consumer(self._place.stream, self._config(inbox), timeout=BEGIN_S)
        self._pending = consumer.num_pending or 0
        if self._is_caught_up:
            self._wake.set()

    async def read(self) -> Batch:
        """What has come; it is empty where nothing is left to come at first, and may be at any time later."""
        await self._until_woken()
        kept = []
        for _ in range(min(len(self._came), CHUNK)):
            message = self._came.popleft()
            if message.headers and Header.STATUS in message.headers:
                await self._control(message, message.headers)
            elif (value := self._accept(message)) is not None:
                kept.append(value)
        if not self._came:
            self._wake.clear()
        return Batch(kept, self._is_caught_up)

    async def end(self) -> None:
        if self._subscription is not None and self._client.is_connected:
            await self._subscription.unsubscribe()

    async def _last(self, js: JetStreamContext) -> int:
        """The newest revision, as the leader knows it; 0 where nothing is kept."""
        stream = await js.stream_info(self._place.stream)
        if stream.created != self._place.created:
            raise MadeAnewError(f"it was made at {stream.created}, not at {self._place.created}")
        return stream.state.last_seq if stream.state.messages else 0

    def _config(self, inbox: str) -> ConsumerConfig:
        return ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.position + 1,
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            num_replicas=1,
            flow_control=True,
            idle_heartbeat=BEAT_S,
            inactive_threshold=FORGET_S,
        )

    @property
    def _is_caught_up(self) -> bool:
        """A consumer may live on a NATS server that has not got everything yet; so the leader was asked too."""
        return self._pending == 0 and self.position >= self._leaders_last

    async def _take(self, message: Msg) -> None:
        self._came.append(message)
        self._wake.set()

    async def _until_woken(self) -> None:
        async with asyncio.timeout(SILENCE_S):
            await self._wake.wait()
        if not self._client.is_connected:
            raise CutOffError("the connection is lost")

    def _accept(self, message: Msg) -> Kept | None:
        """None for the mark that somebody has left by deleting a key by hand."""
        about = message.metadata
        self._delivered += 1
        if about.sequence.consumer != self._delivered:
            raise CutOffError(f"message {about.sequence.consumer} came where {self._delivered} was due")
        self._pending = about.num_pending
        self.position = about.sequence.stream
        if message.headers and (KV_OP in message.headers or KV_MARKER_REASON in message.headers):
            return None
        return Kept(self._place.key_of(message.subject), message.data, self.position)

    async def _control(self, message: Msg, headers: dict[str, str]) -> None:
        if headers[Header.STATUS] != CONTROL:
            raise CutOffError(f"the consumer says {headers}")
        answer = message.reply or headers.get(Header.CONSUMER_STALLED)
        if answer:
            await self._client.publish(answer)
        elif int(headers.get(LAST_OF_CONSUMER, 0)) != self._delivered:
            raise CutOffError("messages were lost")
        else:
            self._pending = self._leaders_last = 0  # it is idle: whatever it still promised has been removed
