"""Bound the file descriptors that connections to servers take, so that the page and the journal keep theirs."""

from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Receive, Reply, Report, Socket, Transport, no_report
from statemachine.core.messages import message


@dataclass(slots=True, eq=False)
class SocketPlaces:
    """The places for /ws connections of all servers."""

    free: int

    def take(self) -> None:
        """Take a place. Raises NotAnsweringError if none is free."""
        if self.free <= 0:
            raise NotAnsweringError(message("no_descriptor"))
        self.free -= 1

    def release(self) -> None:
        """Give the place to another connection."""
        self.free += 1


class BoundedTransport(Transport):
    """A transport that opens /ws only while a place is free. Without /ws a server is watched over HTTP."""

    __slots__ = ("_inner", "_places")

    def __init__(self, inner: Transport, places: SocketPlaces) -> None:
        self._inner = inner
        self._places = places

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        return await self._inner.request(method, path, body, accept)

    @override
    async def connect(self, client_id: str) -> Socket:
        """Open /ws in a place that is reserved before, so that a burst does not exceed the limit."""
        self._places.take()
        try:
            return _PlacedSocket(await self._inner.connect(client_id), self._places.release)
        except BaseException:
            self._places.release()
            raise


class _PlacedSocket(Socket):
    """A connection that releases its place when it is closed, once."""

    __slots__ = ("_inner", "_release")

    def __init__(self, inner: Socket, release: Callable[[], None]) -> None:
        self._inner = inner
        self._release: Callable[[], None] | None = release

    @override
    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        await self._inner.listen(receive, report)

    @override
    def hide(self, text: str) -> str:
        return self._inner.hide(text)

    @override
    async def close(self) -> None:
        try:
            await self._inner.close()
        finally:
            if self._release is not None:
                self._release()
                self._release = None
