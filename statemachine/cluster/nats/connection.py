"""A connection that is lost and made again, for ever.

nats-py could reconnect by itself, but then sends what was written meanwhile, late; and after some errors it gives up
for good. So each of its clients lives for one connection, and whatever it has not sent goes with it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import cycle

from loguru import logger
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from statemachine.cluster.nats.options import NatsOptions
from statemachine.cluster.store import CutOffError

CONNECT_S = 2
PAUSE_S = 0.25
"""Between two tries."""
PING_S = 0.5
SILENCE_S = 2
"""A server that does not answer a ping for this long is left for another."""
CLOSE_S = 1.0

FAULTS = (Error, OSError, TimeoutError, RuntimeError)
"""What going wrong looks like in nats-py; the last is what uvloop says of a connection that was closed meanwhile."""


def describe(error: BaseException) -> str:
    """What its `repr` does not say in nats-py, nor its `str` in Python."""
    return f"{type(error).__name__} {error}"


Ear = Callable[[Msg], Awaitable[None]]


class Connection:
    """Its subscriptions and `wakes` (set whenever the connection comes or goes) outlive its clients.

    `trouble` says why there is none now; it is empty while there is one.
    """

    def __init__(self, options: NatsOptions) -> None:
        self.wakes: set[asyncio.Event] = set()
        self.trouble = ""
        self._options = options
        self._client: Client | None = None
        self._up = asyncio.Event()
        self._ears: list[tuple[str, Ear]] = []
        self._deadlines: set[asyncio.Timeout] = set()

    @property
    def is_up(self) -> bool:
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client:
        """The present one; CutOffError without."""
        if self._client is None or not self._client.is_connected:
            raise CutOffError("not connected to NATS")
        return self._client

    async def until_up(self) -> None:
        await self._up.wait()

    @asynccontextmanager
    async def in_time(self, seconds: float) -> AsyncIterator[None]:
        """TimeoutError after so long, and at once when the connection is lost: nats-py would go on waiting.

        A cancellation within the block is raised at its end, whatever nats-py has made of it.
        """
        with _cancellable():
            async with asyncio.timeout(seconds) as deadline:
                self._deadlines.add(deadline)
                try:
                    yield
                finally:
                    self._deadlines.discard(deadline)

    async def subscribe(self, subject: str, ear: Ear) -> None:
        """From when this returns; if it raises, as soon as there is a connection again."""
        self._ears.append((subject, ear))
        client = self.client
        await client.subscribe(subject, cb=ear)
        await client.rtt(SILENCE_S)

    async def run(self) -> None:
        """Keep connected until cancelled."""
        for url in cycle(self._options.urls):
            try:
                await self._live(url)
            except Exception as error:
                self._tell_lost(url, error)
            await asyncio.sleep(PAUSE_S)

    async def _live(self, url: str) -> None:
        client = Client()
        gone = asyncio.Event()
        try:
            await self._connect(client, url, gone)
            self._begin(client, url)
            await _until_gone(client, gone)
        finally:
            self._end()
            await _close(client)

    async def _connect(self, client: Client, url: str, gone: asyncio.Event) -> None:
        async def closed() -> None:
            gone.set()

        async with asyncio.timeout(CONNECT_S):
            await client.connect(
                [url],
                name=self._options.name,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_S,
                no_echo=True,
                error_cb=_log_error,
                closed_cb=closed,
                **self._options.login,
            )
            for subject, ear in self._ears:
                await client.subscribe(subject, cb=ear)

    def _begin(self, client: Client, url: str) -> None:
        logger.info("connected to NATS at {}", _public(url))
        self._client = client
        self.trouble = ""
        self._up.set()
        self._wake()

    def _end(self) -> None:
        self._client = None
        self._up.clear()
        self._wake()
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(now)

    def _wake(self) -> None:
        for wake in self.wakes:
            wake.set()

    def _tell_lost(self, url: str, error: BaseException) -> None:
        level = "DEBUG" if self.trouble else "WARNING"
        self.trouble = f"no connection to NATS at {_public(url)}: {describe(error)}"
        logger.log(level, "{}; it is tried again", self.trouble)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until it has worked: nats-py swallows a cancellation that meets it while it flushes."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CLOSE_S)


@contextmanager
def _cancellable() -> Iterator[None]:
    """nats-py swallows cancellations, and so does `asyncio.wait_for` of Python 3.11, which it waits with."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > cancelled:
            raise asyncio.CancelledError


def _public(url: str) -> str:
    """Without the password that may be in it."""
    return url.rpartition("@")[2].rpartition("//")[2]


async def _until_gone(client: Client, gone: asyncio.Event) -> None:
    """Our own pings: nats-py's `flush` sends none once its reading task has died, and its ping task dies silently."""
    while not gone.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(gone.wait(), PING_S)
        if not gone.is_set():
            await client.rtt(SILENCE_S)
    raise ConnectionResetError("closed by the server")


async def _close(client: Client) -> None:
    with suppress(*FAULTS):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


async def _log_error(error: Exception) -> None:
    logger.debug("nats-py says: {}", describe(error))
