"""A reader that stops reading costs the others nothing; it is cut off and, when it comes back, finds all it missed."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import quantiles

import orjson
import pytest
from aiohttp import ClientResponse

from statemachine.web.stream import EventStream
from tests.web.site import COLD, Client, Site, next_event, next_events, running_site, transition_entry
from tests.web.test_stream import stream_alone, until

RATE = 1_500
"""Events a second."""
TOTAL = 3_000
QUICK = 3
TICK_S = 0.01
WRITE_TIMEOUT_S = 1.0
LATENCY_S = 0.5
"""Of nearly every event, also on a busy machine; who waited for the slow reader would wait for WRITE_TIMEOUT_S."""


async def storm(site: Site) -> None:
    """TOTAL transitions at an even rate; the message begins with the time of each."""
    begin = time.monotonic()

    for number in range(TOTAL):
        if number % 15 == 0:
            await asyncio.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        site.journal.append(transition_entry(COLD, f"{time.monotonic()} {'x' * 1_000}"), None)


async def latencies(response: ClientResponse) -> list[float]:
    """How long each event of the storm took to get here, in seconds; their ids have no gap."""
    measured: list[float] = []
    for number in range(1, TOTAL + 1):
        (event,) = await next_events(response, 1)
        assert event.id == number
        measured.append(time.monotonic() - float(orjson.loads(event.data)["message"].split()[0]))
    return measured


async def lags(stop: asyncio.Event) -> list[float]:
    """How much later than asked for the loop woke up, in seconds."""
    measured: list[float] = []
    while not stop.is_set():
        begin = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)
        measured.append(time.monotonic() - begin - TICK_S)
    return measured


@asynccontextmanager
async def slow_reader(client: Client) -> AsyncIterator[asyncio.StreamReader]:
    """One that has asked for the stream and takes next to nothing of it."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", client.port))
    reader, writer = await asyncio.open_connection(sock=small, limit=1_024)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        yield reader
    finally:
        writer.transport.abort()


async def last_id(reader: asyncio.StreamReader) -> int:
    """The last number that got through to the slow reader, all of its event with it."""
    data = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            data += chunk
    whole = data[: data.rindex(b"\n\n")]
    return max(int(line.removeprefix(b"id: ")) for line in whole.split(b"\n") if line.startswith(b"id: "))


@pytest.mark.alone
async def test_a_slow_reader_slows_nobody_and_misses_nothing(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        stream = EventStream(site.ports, write_timeout_s=WRITE_TIMEOUT_S)
        async with stream_alone(stream) as client, slow_reader(client) as slow:
            await until(lambda: len(site.bus) == 1)
            quick = [await client.get("/") for _ in range(QUICK)]
            for response in quick:
                await next_event(response)
            over = asyncio.Event()
            tasks = [asyncio.create_task(latencies(response)) for response in quick]
            lagging = asyncio.create_task(lags(over))
            begin = time.monotonic()
            await storm(site)
            measured = [await task for task in tasks]
            took = time.monotonic() - begin
            over.set()
            report(took, measured, await lagging)
            await until(lambda: len(site.bus) == QUICK)  # the slow one has been cut off, and only that one
            reached = await last_id(slow)
            assert reached < TOTAL
            async with client.get("/", headers={"Last-Event-ID": str(reached)}) as response:
                missed = await next_events(response, TOTAL - reached)
            assert [event.id for event in missed] == list(range(reached + 1, TOTAL + 1))
            for response in quick:
                response.close()


def report(took: float, measured: list[list[float]], lagged: list[float]) -> None:
    """Print the figures, and hold them against the bounds."""
    all_of_them = [latency for one in measured for latency in one]
    cuts = quantiles(all_of_them, n=100)
    print(f"{TOTAL / took:.0f} events/s; latency p50 {cuts[49]:.4f} s, p99 {cuts[98]:.4f} s; lag {max(lagged):.4f} s")
    assert cuts[98] < LATENCY_S
    assert max(lagged) < LATENCY_S
