"""The connection to NATS: cancellations that nats-py swallows, and subscriptions that are confirmed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from statemachine.cluster.nats import NatsOptions
from statemachine.cluster.nats.connection import Connection, cancel_all
from tests.cluster.following import until


@pytest.mark.parametrize("raised_instead", [None, NatsError("a response arrived meanwhile")])
async def test_deadline_swallowed_cancellation_is_raised(raised_instead: NatsError | None) -> None:
    async def call() -> None:
        async with Connection(NatsOptions(urls=[])).deadline(10.0):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10.0)
            if raised_instead is not None:
                raise raised_instead

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


class RecordingServer:
    """A NATS server that only answers pings. `commands` are the verbs received over all connections."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        info = {"server_id": "S", "version": "2.12.0", "proto": 1, "max_payload": 1_000_000, "headers": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            self.commands.append(line.split()[0].decode())
            if self.commands[-1] == "PING":
                writer.write(b"PONG\r\n")
        writer.close()

    @property
    def has_processed_subscriptions(self) -> bool:
        """Whether a ping was answered after the last subscription."""
        return "PING" in self.commands[self.commands.index("SUB") :]


@asynccontextmanager
async def recorded_connection() -> AsyncIterator[tuple[RecordingServer, Connection]]:
    recording = RecordingServer()
    server = await asyncio.start_server(recording.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = Connection(NatsOptions(urls=[f"nats://127.0.0.1:{port}"]))
    running = asyncio.ensure_future(connection.run())
    try:
        await connection.wait_connected()
        yield recording, connection
    finally:
        await cancel_all([running])
        server.close()


async def ignore(_: Msg) -> None:
    """Handle a message."""


async def test_subscribe_returns_once_the_server_has_processed_it() -> None:
    async with recorded_connection() as (server, connection):
        await connection.subscribe("s", ignore)
        assert server.has_processed_subscriptions


async def test_reconnect_is_up_once_subscriptions_are_processed() -> None:
    async with recorded_connection() as (server, connection):
        await connection.subscribe("s", ignore)
        server.commands.clear()
        server.writers[0].close()
        await until(lambda: not connection.is_connected)
        await connection.wait_connected()
        assert server.has_processed_subscriptions
