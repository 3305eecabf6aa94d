"""How messages leave a /ws connection: at once, in order, and never past a fault of whoever receives them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.transport import Socket


@asynccontextmanager
async def connected(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[Socket]:
    """A socket to a server that says what `talk` says, and closes."""
    async with serve(talk, "127.0.0.1", 0) as server, new_session() as session:
        port = server.sockets[0].getsockname()[1]
        socket = await NetworkTransport(session, f"http://127.0.0.1:{port}", {}, lambda: 5.0).connect("me")
        yield socket
        await socket.close()


async def test_a_text_is_handed_over_as_it_is_read_and_wakes_no_task() -> None:
    """Outside of any task, that is by the transport's own callback: else the library no longer calls our method."""
    heard_first = asyncio.Event()
    heard: list[tuple[str, bool]] = []

    async def talk(server: ServerConnection) -> None:
        await server.send("first")
        await heard_first.wait()
        for text in ("second", "third"):
            await server.send(text)

    def receive(text: str) -> None:
        heard_first.set()
        heard.append((text, asyncio.current_task() is None))

    async with connected(talk) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(receive)
    assert heard[1:] == [("second", True), ("third", True)]


async def test_fragments_are_one_text_and_nothing_overtakes_it() -> None:
    async def talk(server: ServerConnection) -> None:
        for said in ("a", ["b", "c", "d"], "e", [b"x", b"y"], b"z", "f"):
            await server.send(said)

    heard: list[str] = []
    async with connected(talk) as socket:
        with pytest.raises(NotAnsweringError):
            await socket.listen(heard.append)
    assert heard == ["a", "bcd", "e", "f"]


async def test_what_came_before_anybody_listened_comes_first() -> None:
    said_all = asyncio.Event()

    async def talk(server: ServerConnection) -> None:
        for number in range(100):
            await server.send(str(number))
        said_all.set()

    heard: list[str] = []
    async with connected(talk) as socket:
        await said_all.wait()
        with pytest.raises(NotAnsweringError):
            await socket.listen(heard.append)
    assert heard == [str(number) for number in range(100)]


@pytest.mark.parametrize("faulty", ["early", "late"])
async def test_a_fault_of_the_receiver_ends_the_listening_and_is_not_lost(faulty: str) -> None:
    heard_first = asyncio.Event()
    heard: list[str] = []

    async def talk(server: ServerConnection) -> None:
        await server.send("early")
        await heard_first.wait()
        for text in ("late", "after it"):
            await server.send(text)
        await server.wait_closed()

    def receive(text: str) -> None:
        heard_first.set()
        heard.append(text)
        if text == faulty:
            raise LookupError(text)

    async with connected(talk) as socket, asyncio.timeout(5):
        with pytest.raises(LookupError, match=faulty):
            await socket.listen(receive)
    assert heard[-1] == faulty
