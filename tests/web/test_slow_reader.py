"""A client that stops reading does not delay others, is disconnected, and can resume without loss."""

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
from tests.support.polling import wait_until
from tests.web.site import COLD, Client, Site, next_event, next_events, running_site, transition_entry
from tests.web.test_stream import stream_alone

RATE = 1_500
"""Events per second."""
TOTAL = 3_000
QUICK = 3
TICK_S = 0.01
WRITE_TIMEOUT_S = 1.0
LATENCY_S = 0.5
"""Maximum 99th percentile on a busy machine. An event that waited for the slow client would take WRITE_TIMEOUT_S."""


async def storm(site: Site) -> None:
    """Append TOTAL transitions at an even rate; each message begins with its time."""
    begin = time.monotonic()

    for number in range(TOTAL):
        if number % 15 == 0:
            await asyncio.sleep(max(0.0, begin + number / RATE - time.monotonic()))
        site.journal.append(transition_entry(COLD, f"{time.monotonic()} {'x' * 1_000}"), None)


async def latencies(response: ClientResponse) -> list[float]:
    """Return the latency of each event in seconds, and check that no id is missing."""
    measured: list[float] = []
    for number in range(1, TOTAL + 1):
        (event,) = await next_events(response, 1)
        assert event.id == number
        measured.append(time.monotonic() - float(orjson.loads(event.data)["message"].split()[0]))
    return measured


async def lags(stop: asyncio.Event) -> list[float]:
    """Measure by how many seconds timers are late until `stop` is set."""
    measured: list[float] = []
    while not stop.is_set():
        begin = time.monotonic()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_S)
        measured.append(time.monotonic() - begin - TICK_S)
    return measured


@asynccontextmanager
async def slow_reader(client: Client) -> AsyncIterator[asyncio.StreamReader]:
    """Open a stream whose client reads next to nothing."""
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
    """Return the id of the last event that the slow client received completely."""
    data = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(65_536):
            data += chunk
    whole = data[: data.rindex(b"\n\n")]
    return max(int(line.removeprefix(b"id: ")) for line in whole.split(b"\n") if line.startswith(b"id: "))


@pytest.mark.alone
async def test_slow_client_delays_no_other_and_can_resume(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        stream = EventStream(site.ports, write_timeout_s=WRITE_TIMEOUT_S)
        async with stream_alone(stream) as client, slow_reader(client) as slow:
            await wait_until(lambda: len(site.bus) == 1)
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
            await wait_until(lambda: len(site.bus) == QUICK)  # only the slow client has been disconnected
            reached = await last_id(slow)
            assert reached < TOTAL
            async with client.get("/", headers={"Last-Event-ID": str(reached)}) as response:
                missed = await next_events(response, TOTAL - reached)
            assert [event.id for event in missed] == list(range(reached + 1, TOTAL + 1))
            for response in quick:
                response.close()


def report(took: float, measured: list[list[float]], lagged: list[float]) -> None:
    """Print the measured values and check them against the limits."""
    all_of_them = [latency for one in measured for latency in one]
    cuts = quantiles(all_of_them, n=100)
    print(f"{TOTAL / took:.0f} events/s; latency p50 {cuts[49]:.4f} s, p99 {cuts[98]:.4f} s; lag {max(lagged):.4f} s")
    assert cuts[98] < LATENCY_S
    assert max(lagged) < LATENCY_S
