"""The service manager's socket, which a test or a campaign listens on."""

import asyncio
import socket
import time
from collections.abc import Callable

from tests.support.polling import wait_until


class Listener:
    """The service manager's socket, and every line received."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lines: list[str] = []
        self.fed_at: list[float] = []
        """When the watchdog was notified, in seconds of `time.monotonic`."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def _read(self) -> None:
        lines = self._socket.recv(4096).decode().splitlines()
        self.lines += lines
        self.fed_at += [time.monotonic()] * lines.count("WATCHDOG=1")

    def watchdog_count(self) -> int:
        """Return how often the watchdog was notified."""
        return len(self.fed_at)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds; a failure shows the lines received."""
        try:
            await wait_until(holds)
        except TimeoutError:
            raise AssertionError(self.lines) from None

    async def until_received(self, line: str) -> None:
        """Wait for the line."""
        await self.until(lambda: line in self.lines)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
