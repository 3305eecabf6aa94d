"""The agent port over real sockets: answers, and slow, silent, misbehaving and too many clients."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from statemachine.core.vocabulary import State
from statemachine.publish.snapshot import Snapshot
from statemachine.settings.model import TrafficSettings
from statemachine.traffic.agent import MAX_CLIENTS, answering_agent_checks
from tests.traffic.samples import NOW, view

PATIENCE_S = 5.0


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """Return what the agent sends before it closes or resets the connection."""
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE_S)
    except ConnectionError:
        return b""


@dataclass
class Client:
    """A client of an agent."""

    address: tuple[str, int]
    snapshot: Snapshot

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def ask(self, line: bytes) -> str:
        """Send a line and return everything that the agent sends."""
        async with self.connection() as (reader, writer):
            writer.write(line)
            return (await rest_of(reader)).decode()


@asynccontextmanager
async def agent(now: Callable[[], float] = lambda: NOW, max_clients: int = MAX_CLIENTS) -> AsyncIterator[Client]:
    snapshot = Snapshot()
    for one in (view("warm"), view("cold", State.COLD), view("taken out", State.PAUSED), view("温", State.LOADED)):
        snapshot.put(one)
    async with answering_agent_checks(TrafficSettings(agent_port=0), snapshot, now, max_clients) as address:
        assert address is not None
        yield Client(address, snapshot)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"warm\n", "up ready\n"),
        (b"warm\r\n", "up ready\n"),
        (b"  warm \n", "up ready\n"),
        (b"warm\nand more\n", "up ready\n"),
        ("温\n".encode(), "up ready\n"),
        (b"cold\n", "down #cold: keys_missing\n"),
        (b"taken out\n", "drain\n"),
        (b"\n", "down #unknown server\n"),
        (b"unknown\n", "down #unknown server\n"),
        (b"\xff\xfe\x00\n", "down #unknown server\n"),
        (b"GET / HTTP/1.1\r\n\r\n", "down #unknown server\n"),
        (b"x" * 100_000, "down #unknown server\n"),
    ],
)
async def test_agent_returns_one_line_for_one_line(line: bytes, answer: str) -> None:
    async with agent() as client:
        assert await client.ask(line) == answer


async def test_line_in_several_packets_is_answered() -> None:
    async with agent() as client, client.connection() as (reader, writer):
        for piece in (b"wa", b"r", b"m\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        assert await rest_of(reader) == b"up ready\n"


async def test_answer_is_current() -> None:
    async with agent() as client:
        client.snapshot.put(view("warm", State.COLD))
        assert await client.ask(b"warm\n") == "down #cold: keys_missing\n"
        client.snapshot.put(view("warm"))
        assert await client.ask(b"warm\n") == "up ready\n"


async def test_server_without_verdict_gets_empty_answer() -> None:
    async with agent() as client:
        client.snapshot.put(view("new", State.UNKNOWN, last_check=None))
        assert await client.ask(b"new\n") == ""


async def test_answer_waits_for_running_check() -> None:
    async with agent() as client, client.connection() as (reader, writer):
        client.snapshot.put(view("warm", State.CHECKING, since=NOW))
        writer.write(b"warm\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        client.snapshot.put(view("warm"))
        assert await rest_of(reader) == b"up ready\n"


async def test_answer_does_not_wait_for_slow_check() -> None:
    async with agent(time.time) as client:
        client.snapshot.put(view("warm", State.CHECKING, since=time.time()))
        assert await client.ask(b"warm\n") == "down #checking: keys_missing\n"


async def test_answer_with_stopped_clock_is_not_delayed() -> None:
    async with agent() as client:
        client.snapshot.put(view("warm", State.CHECKING, since=NOW + 3600))
        assert await client.ask(b"warm\n") == "down #checking: keys_missing\n"


async def test_silent_client_receives_hint() -> None:
    async with agent() as client:
        assert await client.ask(b"") == "down #no server name received: set agent-send\n"


async def test_clients_that_disconnect_early_do_not_stop_agent() -> None:
    async with agent() as client:
        for line in (b"", b"war", b"warm\n"):
            for _ in range(20):
                async with client.connection() as (_, writer):
                    writer.write(line)
                    writer.transport.abort()
        assert await client.ask(b"warm\n") == "up ready\n"


async def test_silent_clients_are_limited_in_number_and_time() -> None:
    async with agent(max_clients=3) as client, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(client.connection()) for _ in range(3)]
        assert await client.ask(b"warm\n") == ""
        for reader, _ in silent:
            assert await rest_of(reader) == b"down #no server name received: set agent-send\n"
        assert await client.ask(b"warm\n") == "up ready\n"


async def test_agent_without_port_does_not_listen() -> None:
    async with answering_agent_checks(TrafficSettings(), Snapshot(), lambda: NOW) as address:
        assert address is None


async def test_agent_on_occupied_port_names_the_setting() -> None:
    async with agent() as client:
        host, port = client.address
        with pytest.raises(OSError, match=f"traffic.agent_port {port}: "):
            async with answering_agent_checks(
                TrafficSettings(agent_host=host, agent_port=port), Snapshot(), lambda: NOW
            ):
                pass


async def test_agent_stop_disconnects_clients() -> None:
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(agent())
        reader, _ = await stack.enter_async_context(client.connection())
        await client.ask(b"warm\n")
        await stack.pop_all().aclose()
        assert await rest_of(reader) == b""
