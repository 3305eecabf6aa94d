"""Hostile /ws connections."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count, repeat

from aiohttp import web

from tests.faults.frames import BINARY, TEXT, status, wire
from tests.faults.proxy import Exchange, FaultProxy, Raw, Responder

MB = 1000 * 1000
PING = 0x9
UNSENT_BYTES = 4 * MB
FULL_S = 0.01
BATCH = 64 * 1024

Frames = Callable[[FaultProxy], Iterable[Raw]]
"""Returns the frames of one connection, without an end."""


def sending(frames: Frames, pause_s: float = 0.0, *, pongs: bool = True) -> Responder:
    """Accept the connection and send the frames, as fast as the client reads if `pause_s` is 0."""

    async def responder(exchange: Exchange) -> web.StreamResponse:
        ws = web.WebSocketResponse(autoping=pongs, timeout=0.1)
        await ws.prepare(exchange.request)
        await ws.send_str(status(0))
        reading = asyncio.create_task(_read(ws))
        try:
            await _send(exchange, frames(exchange.proxy), pause_s, reading)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return ws

    return responder


async def _read(ws: web.WebSocketResponse) -> None:
    async for _ in ws:
        pass


async def _send(exchange: Exchange, frames: Iterable[Raw], pause_s: float, reading: "asyncio.Task[None]") -> None:
    transport = exchange.request.transport
    for frame in frames:
        if transport is None or transport.is_closing() or reading.done():
            return
        transport.write(frame.data)
        await asyncio.sleep(pause_s)
        while transport.get_write_buffer_size() > UNSENT_BYTES and not transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(FULL_S)


def flood(*payloads: str | bytes, opcode: int = TEXT) -> Frames:
    """Repeat frames with these payloads, many in each piece."""
    once = b"".join(wire(opcode, one.encode() if isinstance(one, str) else one).data for one in payloads)
    piece = Raw(once * max(1, BATCH // len(once)))
    return lambda _: repeat(piece)


CHATTER = (
    status(0),
    status(3),
    json.dumps({"type": "crystools.monitor", "data": {"cpu": 3.0}}),
    json.dumps({"type": "progress_state", "data": {"prompt_id": "p", "nodes": {"1": {"value": 1, "max": 2}}}}),
)
LARGE_TEXT = json.dumps({"type": "status", "data": "x" * (31 * MB)})
FLOOD_OF_TEXTS = flood(*CHATTER)
FLOOD_OF_PREVIEWS = flood(b"\0\0\0\1\0\0\0\1" + b"p" * 1000, opcode=BINARY)
FLOOD_OF_PINGS = flood(b"ping", opcode=PING)
ESCAPES = json.dumps({"type": "execution_error", "data": {"prompt_id": "p", "exception_message": "%25" * 40_000}})
FLOOD_OF_ESCAPES = flood(ESCAPES)
FLOOD_OF_LARGE_TEXTS = flood(LARGE_TEXT)


def endless_message(_: FaultProxy) -> Iterator[Raw]:
    """Yield the fragments of one message that never ends."""
    first = wire(TEXT, b'{"type": "').data
    yield Raw(bytes([first[0] & 0x7F]) + first[1:])
    middle = wire(0, b"x" * 1000).data
    yield from repeat(Raw(bytes([middle[0] & 0x7F]) + middle[1:]))


def progress_of_ours(proxy: FaultProxy) -> Iterator[Raw]:
    """Yield progress of the newest warm-up that always grows and never ends."""
    for number in count(1):
        for prompt_id in proxy.prompt_ids[-1:]:
            nodes = {str(node): {"value": 1, "max": 1} for node in range(number)}
            data = {"prompt_id": prompt_id, "nodes": {**nodes, "last": {"value": number, "max": 10**9}}}
            yield _text({"type": "progress_state", "data": data})
        yield _text({"type": "crystools.monitor", "data": {}})


def flips(_: FaultProxy) -> Iterator[Raw]:
    """Yield changes of the companion node's cache: all keys lost, then back, and every third time another instance."""
    for number in count(1):
        change = "evicted" if number % 2 else "loaded"
        present = [] if number % 2 else ["pulid_eva_clip", "pulid_face_analysis", "pulid_model", "ben2_base"]
        data = {"comfywarm": 1, "instance": f"i{number // 3}", "sequence": number, "change": change, "present": present}
        yield _text({"type": "comfywarm.cache", "data": data})
        yield _text(json.loads(status(number % 3)))


def new_names(_: FaultProxy) -> Iterator[Raw]:
    """Yield frames with a new key, instance, prompt and node each time."""
    for number in count(1):
        data = {"comfywarm": 1, "instance": f"instance-{number}", "sequence": number, "change": "loaded"}
        yield _text({"type": "comfywarm.cache", "data": {**data, "present": [f"key-{number}-{n}" for n in range(500)]}})
        yield _text({"type": f"plugin-{number}", "data": {}})
        yield _text({"type": "executing", "data": {"prompt_id": f"p{number}", "node": f"n{number}"}})


def numbers(_: FaultProxy) -> Iterator[Raw]:
    """Yield absurd numbers."""
    for one in ("NaN", "Infinity", "-1", "1" + "0" * 400, "1e999", "true", '"3"', "[]"):
        yield from (
            wire(TEXT, text.replace("N", one).encode())
            for text in (
                '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": N}}}}',
                '{"type": "progress_state", "data": {"prompt_id": "p", "nodes": {"1": {"value": N, "max": N}}}}',
                '{"type": "comfywarm.cache", "data": {"comfywarm": 1, "instance": "i", "sequence": N, "present": []}}',
            )
        )
    while True:
        yield wire(PING, b"")


def _text(frame: dict[str, object]) -> Raw:
    return wire(TEXT, json.dumps(frame).encode())


async def accept_and_close(exchange: Exchange) -> web.StreamResponse:
    ws = web.WebSocketResponse(timeout=0.1)
    await ws.prepare(exchange.request)
    await ws.close()
    return ws


async def silent(exchange: Exchange) -> web.StreamResponse:
    """Accept the connection, send nothing and answer no ping."""
    ws = web.WebSocketResponse(autoping=False, timeout=0.1)
    await ws.prepare(exchange.request)
    with suppress(ConnectionError):
        await _read(ws)
    return ws
