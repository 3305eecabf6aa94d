"""How fast frames are taken in, and what they cost at a steady pace: over 1,000 sockets, one process."""

import asyncio
import itertools
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import REPOSITORY, Child, baseline, daemon
from benchmarks.stand_in import StandIn, status_frame, text_frame

SOCKETS = 1_000
WITHIN_S = 60.0
SETTLE_S = 8.0
"""What a daemon does once after its start, such as asking for versions, must be over."""
NAIVE_SETTLES_S = 2.0
ROUNDS = 3
AT_ONCE = 10
CHANGES = 100
PACE = 5_000.0
PACED_S = 10.0

BARE_PROMPT_ID = "00000000-0000-4000-8000-000000000000"
WORKFLOW = REPOSITORY / "workflows/cache_models.json"
SETTINGS = {"workflows_dir": str(WORKFLOW.parent), "limits": {"max_warming": SOCKETS, "max_warming_per_host": SOCKETS},
            "fast_frames": True}  # fmt: skip
NO_CHECKS = {"timing": {"check_interval_s": 3_600}, "fast_frames": True}
"""The baselines ask none: what is compared is the cost of frames. Within a minute every server would be asked once, at
a fifth of the processor time that was measured here with them; what that costs, beside a script that asks as many, is
the fleet's case.
"""
RECORDED = REPOSITORY / "tests/transcripts/01_success_with_progress.jsonl"
MONITOR = {
    "cpu_utilization": 13.4, "ram_total": 67_300_000_000, "ram_used": 23_300_000_000, "ram_used_percent": 34.7,
    "hdd_total": 1_000_000_000_000, "hdd_used": 500_000_000_000, "hdd_used_percent": 50.0, "device_type": "cuda",
    "gpus": [{"gpu_utilization": 97, "gpu_temperature": 66, "vram_total": 25_757_220_864, "vram_used": 18_257_220_864,
              "vram_used_percent": 70.9}],
}  # fmt: skip
"""What the plug-in Crystools sends to everyone, once a second."""

INTAKE = Figure(
    "frames_taken_in", "Frames taken in over 1,000 sockets", "frames for each core second",
    "async for over each socket, orjson.loads, uvloop", 2.0, "higher",
)  # fmt: skip
CHANGING = Figure(
    "frames_that_change", "Frames that each change a server's line in the snapshot", "frames for each core second",
    "the same loop with a dict for a state machine", 0.8, "higher",
)  # fmt: skip
PACED = Figure(
    "frames_paced", "Processor at 5,000 frames a second over 1,000 sockets, no check due", "cores",
    "async for over each socket, orjson.loads, asyncio's own loop", 0.4, "lower",
)  # fmt: skip


def mixed_traffic() -> list[bytes]:
    """A job's frames as they were recorded, and as many of a monitor plug-in between them.

    The queue's length stays the same, so that no frame is evidence of a change: those are measured apart.
    """
    monitor = text_frame("crystools.monitor", MONITOR)
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    job = [line["frame"] for line in lines if line["conn"] == "owner" and "frame" in line]
    return [wire for frame in job for wire in (_as_sent(frame), monitor)]


def _as_sent(frame: dict[str, Any]) -> bytes:
    return status_frame(1) if frame["type"] == "status" else text_frame(frame["type"], frame["data"])


def progress_frames(prompt_id: str, nodes: int) -> list[bytes]:
    """Frames by which a graph of so many nodes is done, a hundredth by each."""
    return [_progress_frame(prompt_id, step * nodes / CHANGES) for step in range(1, CHANGES + 1)]


def _progress_frame(prompt_id: str, done: float) -> bytes:
    states = {
        str(number): {
            "value": min(1.0, done - number), "max": 1.0, "state": "running" if done < number + 1 else "finished",
            "node_id": str(number), "prompt_id": prompt_id, "display_node_id": str(number), "parent_node_id": None,
            "real_node_id": str(number),
        }
        for number in range(math.ceil(done))
    }  # fmt: skip
    return text_frame("progress_state", {"prompt_id": prompt_id, "nodes": states})


async def _capacity(fleet: StandIn, child: Child, frames: Mapping[int, Sequence[bytes]]) -> float:
    """Frames for each second of the child's processor time, which a neighbour or a slow sender does not bend.

    Where frames come faster than they are taken in, several wait at each socket: they are sent by tens.
    """
    began, sent = child.cpu_s(), 0
    longest = max(map(len, frames.values()))
    for start in range(0, longest, AT_ONCE):
        for number, all_of_it in frames.items():
            part = all_of_it[start : start + AT_ONCE]
            fleet.sockets[number].send(b"".join(part))
            sent += len(part)
        await asyncio.sleep(0)
    await fleet.all_taken_in(WITHIN_S)
    return sent / (child.cpu_s() - began)


async def _intake(fleet: StandIn, child: Child) -> float:
    return await _capacity(fleet, child, dict.fromkeys(range(SOCKETS), mixed_traffic() * ROUNDS))


async def _changes(fleet: StandIn, child: Child, prompt_ids: Mapping[int, str]) -> float:
    """Every frame changes something: the progress of our prompt where one runs, elsewhere the queue's length."""
    nodes = len(json.loads(WORKFLOW.read_text(encoding="utf-8")))
    queue = [status_frame(step) for step in range(1, CHANGES + 1)]
    return await _capacity(
        fleet,
        child,
        {
            number: progress_frames(prompt_ids[number], nodes) if number in prompt_ids else queue
            for number in range(SOCKETS)
        },
    )


async def _paced(fleet: StandIn, child: Child) -> float:
    """Cores that are used while every socket's frames come one by one, some five sockets' each millisecond.

    A process that is done with a frame before the next one comes sleeps between them, and is woken for each: of ours,
    half is the kernel's, for waking and reading, which no program is spared.
    """
    frames = mixed_traffic()
    turns = ((turn % SOCKETS, frames[turn // SOCKETS % len(frames)]) for turn in itertools.count())
    began = child.cpu_s()
    await fleet.pace(turns, PACE, PACED_S)
    await fleet.all_taken_in(WITHIN_S)
    return (child.cpu_s() - began) / PACED_S


async def _ours_mixed(_: Options) -> Measured:
    async with StandIn(SOCKETS).listening() as fleet, daemon(fleet.urls, NO_CHECKS) as ours:
        await fleet.connected(SOCKETS, WITHIN_S)
        await fleet.all_asked(SOCKETS, WITHIN_S)
        await asyncio.sleep(SETTLE_S)
        return {INTAKE.id: await _intake(fleet, ours.child), PACED.id: await _paced(fleet, ours.child)}


async def _naive_mixed(_: Options) -> Measured:
    measured = {}
    async with _naive("uvloop", state=False) as (fleet, child):
        measured[INTAKE.id] = await _intake(fleet, child)
    async with _naive("asyncio", state=False) as (fleet, child):
        measured[PACED.id] = await _paced(fleet, child)
    return measured


async def _ours_changing(_: Options) -> Measured:
    """Every second server is cold, and warms under a prompt of ours."""
    fleet = StandIn(SOCKETS)
    fleet.loaded[::2] = [False] * (SOCKETS // 2)
    all_warming = asyncio.Event()

    def run(number: int, body: dict[str, Any]) -> None:
        fleet.running[number] = body["prompt_id"]
        if len(fleet.running) == SOCKETS // 2:
            all_warming.set()

    fleet.on_prompt = run
    async with fleet.listening(), daemon(fleet.urls, SETTINGS) as ours, asyncio.timeout(WITHIN_S):
        await fleet.connected(SOCKETS, WITHIN_S)
        await all_warming.wait()
        await asyncio.sleep(SETTLE_S)
        return {CHANGING.id: await _changes(fleet, ours.child, fleet.running)}


async def _naive_changing(_: Options) -> Measured:
    async with _naive("uvloop", state=True) as (fleet, child):
        return {CHANGING.id: await _changes(fleet, child, dict.fromkeys(range(0, SOCKETS, 2), BARE_PROMPT_ID))}


@asynccontextmanager
async def _naive(loop: str, *, state: bool) -> AsyncIterator[tuple[StandIn, Child]]:
    fleet = StandIn(SOCKETS)
    said = {"urls": fleet.urls, "loop": loop, "state": state}
    async with fleet.listening(), baseline("frames", said) as child:
        await fleet.connected(SOCKETS, WITHIN_S)
        await asyncio.sleep(NAIVE_SETTLES_S)
        yield fleet, child


FRAMES = Case((INTAKE, PACED), _ours_mixed, _naive_mixed)
FRAMES_THAT_CHANGE = Case((CHANGING,), _ours_changing, _naive_changing)
