"""A connection to NATS that is opened again whenever it is lost.

nats-py can reconnect by itself, but then sends buffered writes late, and after some errors it gives up. Each of its
clients is therefore used for one connection, and its unsent data is dropped with it.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from loguru import logger
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

from statemachine.cluster.store import StoreUnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """Set at most one of `credentials`, `user` with `password`, and `token`.

    `prefix` (letters, digits, `_`, `-`) separates fleets on the same NATS servers. The options after it apply only to
    streams that do not exist yet: `replicas` (1, 3 or 5, at most the number of NATS servers) and the log's limits.
    """

    urls: Sequence[str]
    name: str = "comfywarm"
    credentials: Path | None = None
    user: str | None = None
    password: str | None = None
    token: str | None = None
    tls: ssl.SSLContext | None = None
    timeout_s: float = 2.0
    prefix: str = "comfywarm"
    replicas: int = 3
    log_max_age_s: float = 30 * 86400.0
    log_max_messages: int = 1_000_000

    @property
    def login(self) -> dict[str, Any]:
        """The arguments of nats-py's `connect` for authentication and TLS."""
        given = {
            "user_credentials": self.credentials,
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "tls": self.tls,
        }
        return {key: value for key, value in given.items() if value is not None}


CONNECT_S = 2
RETRY_S = 0.25
PING_S = 0.5
PING_TIMEOUT_S = 2
"""A server that does not answer a ping within this time is left for another."""
CLOSE_S = 1.0

NATS_ERRORS = (Error, OSError, TimeoutError, RuntimeError)
"""What nats-py raises; RuntimeError is uvloop's for a connection that was closed meanwhile."""

MessageHandler = Callable[[Msg], Awaitable[None]]


def describe(error: BaseException) -> str:
    """Return type and text: nats-py's `repr` lacks the text, and some errors of Python have none."""
    return f"{type(error).__name__} {error}"


class Connection:
    """Subscriptions and `wakes`, which are set whenever the connection is made or lost, outlive the clients.

    `last_error` says why there is no connection; it is empty while there is one.
    """

    def __init__(self, options: NatsOptions) -> None:
        self.wakes: set[asyncio.Event] = set()
        self.last_error = ""
        self._options = options
        self._client: Client | None = None
        self._connected = asyncio.Event()
        self._subscriptions: list[tuple[str, MessageHandler]] = []
        self._deadlines: set[asyncio.Timeout] = set()

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    @property
    def client(self) -> Client:
        """The current client. Raises StoreUnavailableError if there is no connection."""
        if self._client is None or not self._client.is_connected:
            raise StoreUnavailableError("not connected to NATS")
        return self._client

    async def wait_connected(self) -> None:
        await self._connected.wait()

    @asynccontextmanager
    async def deadline(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError after `seconds`, or at once if the connection is lost, which nats-py does not notice.

        A cancellation inside the block is raised at its end even if nats-py has swallowed it.
        """
        with _cancellable():
            async with asyncio.timeout(seconds) as deadline:
                self._deadlines.add(deadline)
                try:
                    yield
                finally:
                    self._deadlines.discard(deadline)

    async def subscribe(self, subject: str, handler: MessageHandler) -> None:
        """Subscribe, and return once the server has processed it.

        If this raises, the subscription starts with the next connection.
        """
        self._subscriptions.append((subject, handler))
        client = self.client
        await client.subscribe(subject, cb=handler)
        await _confirm_subscriptions(client)

    async def run(self) -> None:
        """Stay connected until cancelled."""
        for url in cycle(self._options.urls):
            try:
                await self._run_client(url)
            except Exception as error:
                self._log_lost(url, error)
            await asyncio.sleep(RETRY_S)

    async def _run_client(self, url: str) -> None:
        client = Client()
        closed = asyncio.Event()
        try:
            await self._connect(client, url, closed)
            self._on_connected(client, url)
            await _ping_until_closed(client, closed)
        finally:
            self._on_disconnected()
            await _close(client)

    async def _connect(self, client: Client, url: str, closed: asyncio.Event) -> None:
        async def on_closed() -> None:
            closed.set()

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
                closed_cb=on_closed,
                **self._options.login,
            )
            await self._subscribe_all(client)

    async def _subscribe_all(self, client: Client) -> None:
        """Make all subscriptions, including those added while this waits."""
        confirmed = 0
        while missing := self._subscriptions[confirmed:]:
            for subject, handler in missing:
                await client.subscribe(subject, cb=handler)
            await _confirm_subscriptions(client)
            confirmed += len(missing)

    def _on_connected(self, client: Client, url: str) -> None:
        logger.info("connected to NATS at {}", _without_password(url))
        self._client = client
        self.last_error = ""
        self._connected.set()
        self._wake()

    def _on_disconnected(self) -> None:
        self._client = None
        self._connected.clear()
        self._wake()
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(now)

    def _wake(self) -> None:
        for wake in self.wakes:
            wake.set()

    def _log_lost(self, url: str, error: BaseException) -> None:
        level = "DEBUG" if self.last_error else "WARNING"
        self.last_error = f"no connection to NATS at {_without_password(url)}: {describe(error)}"
        logger.log(level, "{}; retrying", self.last_error)


async def cancel_all(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until the tasks have ended: nats-py swallows a cancellation that arrives while it flushes."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CLOSE_S)


async def _confirm_subscriptions(client: Client) -> None:
    """Return once the server has processed all subscriptions.

    nats-py writes a PING at once but buffers SUB, so only the second PING is certain to follow it.
    """
    await client.rtt(PING_TIMEOUT_S)
    await client.rtt(PING_TIMEOUT_S)


@contextmanager
def _cancellable() -> Iterator[None]:
    """Raise swallowed cancellations: nats-py and `asyncio.wait_for` of Python 3.11 may lose one."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > cancelled:
            raise asyncio.CancelledError


def _without_password(url: str) -> str:
    return url.rpartition("@")[2].rpartition("//")[2]


async def _ping_until_closed(client: Client, closed: asyncio.Event) -> None:
    """Ping the server; nats-py's own ping task can end silently, and then `flush` pings no more."""
    while not closed.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(closed.wait(), PING_S)
        if not closed.is_set():
            await client.rtt(PING_TIMEOUT_S)
    raise ConnectionResetError("closed by the server")


async def _close(client: Client) -> None:
    with suppress(*NATS_ERRORS):
        async with asyncio.timeout(CLOSE_S):
            await client.close()


async def _log_error(error: Exception) -> None:
    logger.debug("error in nats-py: {}", describe(error))
