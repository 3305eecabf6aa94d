"""Faulty frames affect only their own connection; the check decides."""

import asyncio
import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.frames import BINARY, RESERVED, TEXT, status, wire
from tests.faults.harness import Harness, Memory, faulty
from tests.faults.proxy import FaultProxy, Frame, Raw
from tests.faults.table import Row
from tests.support.daemon import Json
from tests.support.polling import PATIENCE_S

MIB = 2**20


HARMLESS: dict[str, list[Frame]] = {
    "not-json": ["hello", "", "{", "null", "[]", "17", '"status"'],
    "unknown-types": ['{"type": "crystools.monitor", "data": {"gpus": []}}', '{"type": "later", "data": null}', "{}"],
    "wrong-shapes": [
        '{"type": "status"}',
        '{"type": "status", "data": []}',
        '{"type": ["status"], "data": {}}',
        '{"type": "executing", "data": null}',
        '{"type": "progress_state", "data": {"prompt_id": "x", "nodes": {"1": null}}}',
        '{"type": "execution_success", "data": {"prompt_id": 5}}',
        '{"type": "execution_cached", "data": {"prompt_id": "x", "nodes": 3}}',
        '{"type": "execution_error", "data": {"prompt_id": null}}',
        status("many"),
        status(None),
        status({}),
    ],
    "deep-json": ["[" * 200_000, '{"type":' * 50_000],
    "binary-previews": [b"", b"\x00\x00\x00\x01\x00\x00\x00\x02" + bytes(4 * MIB)],
    "big-text": [json.dumps({"type": "plugin", "data": "x" * (8 * MIB)})],
    "lone-surrogate": ['{"type": "status", "data": "\\ud800"}'],
    "python-numbers": [
        status(math.nan),
        status(math.inf),
        status(10**400),
        '{"type": "progress_state", "data": {"prompt_id": "x", "nodes": {"1": {"value": NaN, "max": Infinity}}}}',
        '{"type": "execution_error", "data": {"prompt_id": "another-prompt", "current_inputs": [-Infinity]}}',
    ],
    "foreign-success": [json.dumps({"type": "execution_success", "data": {"prompt_id": "another-prompt"}})],
    "foreign-error": [json.dumps({"type": "execution_error", "data": {"prompt_id": "another-prompt"}})],
    "unasked-pongs": [wire(0xA, b"pong") for _ in range(100)],
    "huge-queue": [status(10**30), status(1e300), status(0)],
    "negative-queue": [status(-5), status(0)],
}


@pytest.mark.parametrize("frames", HARMLESS.values(), ids=HARMLESS)
async def test_meaningless_frames_are_ignored(tmp_path: Path, expected: Row, frames: list[Frame]) -> None:
    """The link stays open and delivers later frames."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until(lambda detail: detail["link"]["connected"])
        proxy.send(*frames)
        await wait_until_received(harness, proxy)
        await harness.until_read(expected)
        detail = await harness.until_state("loaded")
        assert detail["link"]["connects"] == 1
        assert proxy.posts == []


async def wait_until_received(harness: Harness, proxy: FaultProxy) -> None:
    """Send a frame and wait until it has arrived."""
    proxy.send(status(7))
    await harness.until(lambda detail: detail["queue_remaining"] == 7)
    proxy.send(status(0))
    await harness.until(lambda detail: detail["queue_remaining"] == 0)


FATAL: dict[str, Frame] = {
    "invalid-utf-8": wire(TEXT, b'{"type": "\xff\xfe"}'),
    "64-mib": wire(TEXT, b"[" * 1000, claimed=64 * MIB),
    "exabytes": wire(BINARY, b"", claimed=2**62),
    "reserved-opcode": wire(RESERVED, b"x"),
    "masked-by-the-server": Raw(b"\x81\x85\x00\x00\x00\x00hello"),
    "stray-continuation": wire(0x0, b"x"),
    "not-a-frame": Raw(b"HTTP/1.1 500 Internal Server Error\r\n" * 10),
}


@pytest.mark.parametrize("frame", FATAL.values(), ids=FATAL)
async def test_invalid_frame_ends_the_connection(tmp_path: Path, expected: Row, frame: Frame) -> None:
    """The link reconnects with another id, and the server is checked again."""
    with Memory() as memory:
        async with faulty(tmp_path, "loaded") as (harness, proxy):
            await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
            proxy.send(frame)
            await harness.until_read(expected)
            detail = await harness.until(lambda detail: detail["link"]["connects"] >= 2 and detail["link"]["connected"])
            await wait_until_received(harness, proxy)
            assert (await harness.until_state("loaded"))["link"]["connects"] == detail["link"]["connects"]
    assert memory.growth < 50 * MIB


async def test_endless_fragments_end_the_connection(tmp_path: Path, expected: Row) -> None:
    fragments = [Raw(struct.pack("!BBQ", TEXT if n == 0 else 0, 127, MIB) + b"x" * MIB) for n in range(64)]
    with Memory() as memory:
        async with faulty(tmp_path, "loaded") as (harness, proxy):
            await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
            proxy.send(*fragments)
            await harness.until_read(expected)
            await harness.until_state("loaded")
    assert memory.growth < 250 * MIB


async def test_frames_of_a_plugin_delay_nothing(tmp_path: Path, expected: Row) -> None:
    """10,000 frames a second must not delay the healthy server, which the harness asserts."""
    monitor = json.dumps({"type": "crystools.monitor", "data": {"cpu_utilization": 5, "gpus": [{"vram": 1}] * 4}})
    burst = Raw(wire(TEXT, monitor.encode()).data * 100)
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until(lambda detail: detail["link"]["connected"])
        for _ in range(200):
            proxy.send(burst)
            await asyncio.sleep(0.01)
        await wait_until_received(harness, proxy)
        detail = await harness.until_read(expected)
        assert detail["link"]["connects"] == 1


async def test_flood_of_frames_is_shown(tmp_path: Path, expected: Row) -> None:
    monitor = json.dumps({"type": "crystools.monitor", "data": {"cpu_utilization": 5, "gpus": [{"vram": 1}] * 4}})
    burst = Raw(wire(TEXT, monitor.encode()).data * 2_000)

    async def flood(proxy: FaultProxy) -> None:
        while True:
            proxy.send(burst)
            await asyncio.sleep(0.01)

    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until(lambda detail: detail["link"]["connected"])
        flooding = asyncio.create_task(flood(proxy))
        detail = await harness.until_read(expected)
        flooding.cancel()
        assert detail["link"]["connects"] == 1


async def test_frequent_status_frames_cause_few_checks(tmp_path: Path, expected: Row) -> None:
    """A queue that changes a thousand times is checked a few dozen times at most."""
    async with faulty(tmp_path, "loaded") as (harness, proxy):
        await harness.until(lambda detail: detail["link"]["connected"] and detail["state"] == "loaded")
        asked = proxy.requests["GET /cache/check"]
        pair = Raw(wire(TEXT, status(1).encode()).data + wire(TEXT, status(0).encode()).data)
        for _ in range(200):
            proxy.send(*[pair] * 5)
            await asyncio.sleep(0.01)
        await wait_until_received(harness, proxy)
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert proxy.requests["GET /cache/check"] - asked < 100


def ours(message: Json) -> bool:
    """Return whether a frame is about a prompt; the daemon's is the only one."""
    return "prompt_id" in message["data"]


def drop_success(message: Json, text: str) -> Iterable[Frame]:
    return () if message["type"] == "execution_success" else (text,)


def drop_all_of_the_prompt(message: Json, text: str) -> Iterable[Frame]:
    return () if ours(message) else (text,)


def repeat_three_times(message: Json, text: str) -> Iterable[Frame]:
    return (text, text, text)


def fail_after_success(message: Json, text: str) -> Iterable[Frame]:
    """Send other frames of the prompt, including failures, after its success."""
    if message["type"] != "execution_success":
        return (text,)
    late = [{**message, "type": kind} for kind in ("execution_error", "execution_interrupted", "execution_start")]
    return (text, *map(json.dumps, late))


FILTERS = {
    "success-lost": drop_success,
    "all-of-ours-lost": drop_all_of_the_prompt,
    "everything-thrice": repeat_three_times,
    "failure-after-success": fail_after_success,
}


@pytest.mark.parametrize("responder", FILTERS.values(), ids=FILTERS)
async def test_faulty_frames_of_the_prompt_do_no_harm(tmp_path: Path, expected: Row, responder: Any) -> None:
    async with faulty(tmp_path, frame_filter=responder) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1
        reasons = [reason for _, reason in await harness.transitions("faulty")]
        assert reasons.count("prompt_succeeded") == 1


async def test_false_success_is_checked(tmp_path: Path, expected: Row) -> None:
    """A success before the prompt has run: the check finds missing keys, and the queue must drain first."""

    def report_success_early(message: Json, text: str) -> Iterable[Frame]:
        lie = json.dumps({**message, "type": "execution_success"})
        return (text, lie) if message["type"] == "execution_start" else (text,)

    async with faulty(tmp_path, frame_filter=report_success_early, scale=0.1) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) <= 2


async def test_prompt_without_frames_is_found_over_http(tmp_path: Path, expected: Row) -> None:
    """A client that does not read stalls all frames; the prompt's end is found over HTTP."""
    greeted: list[str] = []

    def stalled(message: Json, text: str) -> Iterable[Frame]:
        if "sid" in message["data"]:
            greeted.append(text)
            return (text,)
        return ()

    async with faulty(tmp_path, frame_filter=stalled) as (harness, proxy):
        await harness.until_read(expected, timeout_s=PATIENCE_S + 5)
        await harness.until_state("loaded")
        assert len(proxy.posts) == len(greeted) == 1
