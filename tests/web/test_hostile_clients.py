"""Whatever a client sends is answered below 500, quoted on one short line, and never a traceback in the log."""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiohttp import web
from loguru import logger

from statemachine.daemon.logging import ToLoguru, redact
from statemachine.web.app import build_runner
from tests.web.hostile_requests import REQUESTS, head, mutated
from tests.web.site import running_site

LONGEST_LINE = 500
ANSWER_S = 1.0


async def status_of(port: int, request: bytes) -> int:
    """Return the status of the first response, 0 without one: a request that is not complete waits for more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        line = await asyncio.wait_for(reader.readline(), ANSWER_S)
        return int(line.split()[1]) if line else 0
    except (ConnectionError, TimeoutError):
        return 0
    finally:
        writer.close()


async def attack(folder: Path) -> dict[bytes, int]:
    """Send every request to the web side as the daemon runs it; return the statuses."""
    turns = asyncio.Semaphore(100)

    async def sent(request: bytes) -> int:
        async with turns:
            return await status_of(port, request)

    async with running_site(folder) as site:
        runner = build_runner(site.client.app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        requests = (*REQUESTS, *mutated(400))
        statuses = await asyncio.gather(*(sent(request) for request in requests))
        assert await status_of(port, head("/healthz")) == 200
        assert await status_of(port, head("http://xn--/")) == 404
        await runner.cleanup()
    gc.collect()  # reports the exceptions of tasks that nothing awaited
    return dict(zip(requests, statuses, strict=True))


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Provide the lines of the program log, with the records of libraries, as the daemon writes them."""
    lines: list[str] = []
    redact([])
    root = logging.getLogger()
    handler, level = ToLoguru(), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    sink = logger.add(lambda line: lines.append(str(line)), format="{level} {message}", backtrace=False)
    yield lines
    logger.remove(sink)
    root.removeHandler(handler)
    root.setLevel(level)


Run = Callable[[Coroutine[Any, Any, dict[bytes, int]]], dict[bytes, int]]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_any_request_is_answered_below_500_and_logged_in_short(tmp_path: Path, log: list[str], run: Run) -> None:
    statuses = run(attack(tmp_path))
    assert {request[:200]: status for request, status in statuses.items() if status >= 500} == {}
    assert sum(status > 0 for status in statuses.values()) > len(statuses) / 2
    assert [line[:300] for line in log if line.startswith(("ERROR", "CRITICAL")) or "Traceback" in line] == []
    assert [line[:300] for line in log if len(line) > LONGEST_LINE or not line.rstrip("\n").isprintable()] == []


def test_requested_paths_are_quoted_on_one_line(tmp_path: Path) -> None:
    async def bodies() -> list[str]:
        async with running_site(tmp_path) as site:
            return [
                await (await site.client.request(method, target)).text()
                for method, target in (
                    ("GET", "/x%0Ay%1b"),
                    ("DELETE", "/api/servers/%0A/ready"),
                    ("GET", "/" + "a" * 5_000),
                )
            ]

    one, two, long = asyncio.run(bodies())
    assert r"path \"/x\\ny\\x1b\" not found" in one
    assert r"for \"/api/servers/\\n/ready\"" in two
    assert len(long) < 200


async def send_without_end(writer: asyncio.StreamWriter) -> None:
    for _ in range(1_000):
        writer.write(b"1\r\nx\r\n" * 10)
        await writer.drain()
        await asyncio.sleep(0.01)


async def test_endless_body_ends_the_connection(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        runner = build_runner(site.client.app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
        writer.write(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert b" 405 " in await reader.readline()
        with pytest.raises(ConnectionError):
            await send_without_end(writer)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        await runner.cleanup()
