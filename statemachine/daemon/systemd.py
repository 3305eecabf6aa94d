"""Notifications to the service manager by the sd_notify protocol; without a service manager nothing is sent.

The protocol is a datagram of `NAME=value` lines to a Unix socket, whose address may be abstract; see sd_notify(3) and
sd_watchdog_enabled(3). It takes a few lines here; the libraries for it are unmaintained or bind to C.

The watchdog is fed while the event loop runs and the journal's thread answers. A journal that cannot be *written* does
not starve it: a restart does not empty a full disk, and the daemon keeps watching. A thread that no longer answers
does: log entries and every submission wait for it, and only a restart helps.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from loguru import logger

CHECKS_PER_PERIOD = 3
"""A check and its answer take at most two thirds of the watchdog's period, so that one late answer is tolerated."""


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The service manager that started the daemon. `watchdog_s` is the watchdog's period, None without a watchdog."""

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ServiceManager":
        """Read the environment variables that systemd sets for its services."""
        meant = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        period = environ.get("WATCHDOG_USEC", "") if meant else ""
        return cls(environ.get("NOTIFY_SOCKET"), int(period) / 1e6 if period.isdigit() and int(period) else None)

    def ready(self) -> None:
        """Report that the daemon serves, at the start and after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the settings are being reloaded; `ready` reports the end."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def status(self, sentence: str) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={sentence}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, lines: str) -> None:
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto(lines.encode(), address)
        except OSError as error:
            logger.warning("could not notify the service manager of {}: {}", lines.partition("=")[0], error)


@asynccontextmanager
async def supervised(
    manager: ServiceManager, answers: Callable[[], Awaitable[object]], summary: Callable[[], str]
) -> AsyncIterator[None]:
    """Report the daemon as ready within the block, and feed the watchdog while `answers` returns in time.

    `summary` returns a sentence about the fleet. An exception of `answers` counts as an answer: only silence starves.
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
    pause_s = manager.watchdog_s / CHECKS_PER_PERIOD
    while True:
        if await _answers_within(pause_s, answers):
            manager.alive()
        else:
            logger.error("the journal's thread did not answer within {:g} s; the watchdog is not fed", pause_s)
        manager.status(summary())
        await asyncio.sleep(pause_s)


async def _answers_within(limit_s: float, answers: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await answers()
    except TimeoutError:
        return False
    except Exception as error:
        logger.debug("the journal answered with an error: {}", error)
    return True
