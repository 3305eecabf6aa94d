"""Hostile bodies: large, endless, nested, compressed or slow, and the responders that send them."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import repeat
from random import Random
from typing import Any

from aiohttp import web

from tests.faults.proxy import Exchange, Responder
from tests.faults.responses import respond_with

JSON = "application/json"
MIB = 1024 * 1024
LARGE = 60 * 1000 * 1000
PIECE = 256 * 1024
DISTINCT = 100_000
"""Distinct items in a large body; the rest repeats them."""
OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


def large(head: str, item: str, tail: str, size: int = LARGE, content_type: str = JSON) -> Responder:
    """Send `head`, as many items as fit into `size` bytes, separated by commas, and `tail`.

    `%d` in an item is its number, and CLASS in the head the last part of the path.
    """

    async def responder(exchange: Exchange) -> web.StreamResponse:
        name = exchange.request.path.rpartition("/")[2]
        body = (head.replace("CLASS", name).encode(), *_pieces(_items(item, size)), tail.encode())
        return await _stream(exchange, body, content_type)

    return responder


@cache
def _items(item: str, size: int) -> bytes:
    numbers = range(DISTINCT if "%d" in item else 1)
    once = ",".join(item % number if "%d" in item else item for number in numbers).encode()
    return b",".join(repeat(once, size // (len(once) + 1) or 1))


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + PIECE] for at in range(0, len(body), PIECE))


def endless(piece: bytes, content_type: str = "text/plain") -> Responder:
    """Send the piece repeatedly, without an end."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        return await _stream(exchange, repeat(piece * (PIECE // len(piece))), content_type)

    return responder


def endless_bytes(head: bytes, piece: bytes) -> Responder:
    """Send raw bytes: the head, and the piece without an end."""
    block = piece * (PIECE // len(piece))

    async def responder(exchange: Exchange) -> web.StreamResponse:
        transport = exchange.request.transport
        if transport is not None:
            transport.write(head)
            while not transport.is_closing():
                if transport.get_write_buffer_size() < PIECE:
                    transport.write(block)
                await asyncio.sleep(0.001)
        return web.Response(status=500)

    return responder


def gzip_bomb(size: int = 2000 * MIB) -> Responder:
    """Send zeros, compressed twenty times a hundredfold."""
    block = gzip.compress(b"[" * (20 * MIB))

    async def responder(exchange: Exchange) -> web.StreamResponse:
        return await _stream(exchange, repeat(block, size // (20 * MIB)), JSON, {"Content-Encoding": "gzip"})

    return responder


async def _stream(
    exchange: Exchange, pieces: Iterable[bytes], content_type: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": content_type, **(headers or {})})
    await response.prepare(exchange.request)
    for piece in pieces:
        await response.write(piece)
        await asyncio.sleep(0)
    return response


def nested(depth: int = 5_000_000) -> Responder:
    """Send nested lists."""
    return respond_with(b"[" * depth + b"]" * depth, content_type=JSON)


def slowly(*pieces: bytes, pause_s: float = 0.2) -> Responder:
    """Send the pieces one byte at a time."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        return await exchange.raw(*(bytes([one]) for one in b"".join(pieces)), pause_s=pause_s)

    return responder


def delayed(seconds: float) -> Responder:
    """Answer as the simulated server does, but late."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return responder


def huge_header(size: int = 20 * MIB) -> Responder:
    """Send one header of this size."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        return await exchange.raw(OK_HEAD + b"X-Page: ", *_pieces(b"x" * size), b"\r\n\r\n")

    return responder


def many_headers(count: int = 200_000) -> Responder:
    """Send this many headers."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        lines = b"".join(b"X-%d: %d\r\n" % (number, number) for number in range(count))
        return await exchange.raw(OK_HEAD, *_pieces(lines), b"\r\n")

    return responder


async def cut_off(exchange: Exchange) -> web.StreamResponse:
    """Reset the connection in the middle of the body."""
    if exchange.request.transport is not None:
        exchange.request.transport.write(OK_HEAD + b"Content-Length: 100000\r\n\r\n" + b"x" * 500)
    await asyncio.sleep(0.05)
    return await exchange.reset()


async def redirect_to_itself(exchange: Exchange) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": str(exchange.request.url)})


def in_turn(*responders: Responder) -> Responder:
    """Use one after another."""
    count = 0

    async def responder(exchange: Exchange) -> web.StreamResponse:
        nonlocal count
        count += 1
        return await responders[count % len(responders)](exchange)

    return responder


def changed(change: Callable[[Any, Random], Any]) -> Responder:
    """Send the simulated server's JSON after `change`, which may modify it."""
    rng = Random(1)

    async def responder(exchange: Exchange) -> web.StreamResponse:
        answer = json.loads((await exchange.forward()).body or b"{}")  # type: ignore[arg-type]
        return web.json_response(change(answer, rng))

    return responder
