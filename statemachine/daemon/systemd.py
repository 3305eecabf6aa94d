"""What the service manager is told, by sd_notify's protocol; nothing where none listens.

The protocol is a datagram of `NAME=value` lines to a socket of the file system or of Linux' abstract names; see
sd_notify(3), sd_watchdog_enabled(3). It is spoken here in a few lines, because the libraries for it are unkept or bind
to C.

The watchdog is fed while the loop turns and the journal's thread comes round to what it is asked. A journal that cannot
be *written* does not starve it: a full disk is no better after a restart, and the daemon goes on watching. A thread
that no longer answers does: the entries of the event log and every submission wait for it, and only a restart helps.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from loguru import logger

LOOKS_A_PERIOD = 3
"""A look and its answer take two thirds of the watchdog's period at most; so one late answer is forgiven."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Whoever started the daemon. `watchdog_s`: it wants to be told so often that all is well; None: never."""

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ServiceManager":
        """As systemd describes itself to its services."""
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        period = environ.get("WATCHDOG_USEC", "") if meant else ""
        return cls(environ.get("NOTIFY_SOCKET"), int(period) / 1e6 if period.isdigit() and int(period) else None)

    def ready(self) -> None:
        """The daemon serves, at the start and after a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The settings are read again; `ready` says when that is done."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon goes down in good order."""
        self._tell("STOPPING=1")

    def status(self, sentence: str) -> None:
        """What `systemctl status` shows."""
        self._tell(f"STATUS={sentence}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def _tell(self, lines: str) -> None:
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto(lines.encode(), address)
        except OSError as error:
            logger.warning("the service manager could not be told {}: {}", lines.partition("=")[0], error)


@asynccontextmanager
async def supervised(
    manager: ServiceManager, answers: Callable[[], Awaitable[object]], summary: Callable[[], str]
) -> AsyncIterator[None]:
    """Within the block the daemon is ready, and the watchdog is fed as long as `answers` comes back in time.

    `summary` is a sentence about the fleet. An error that `answers` raises is an answer too: only silence starves.
    """
    manager.ready()
    manager.status(summary())
    feeding = asyncio.create_task(_feed(manager, answers, summary))
    try:
        yield
    finally:
        manager.stopping()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(manager: ServiceManager, answers: Callable[[], Awaitable[object]], summary: Callable[[], str]) -> None:
    if manager.watchdog_s is None:
        return
    pause_s = manager.watchdog_s / LOOKS_A_PERIOD
    while True:
        if await _answers_within(pause_s, answers):
            manager.alive()
        else:
            logger.error("the journal's thread did not answer within {:g} s, so the watchdog is not fed", pause_s)
        manager.status(summary())
        await asyncio.sleep(pause_s)


async def _answers_within(limit_s: float, answers: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await answers()
    except TimeoutError:
        return False
    except Exception as error:
        logger.debug("the journal answers, with trouble: {}", error)
    return True
