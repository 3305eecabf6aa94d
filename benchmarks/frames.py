"""Frames over 1,000 sockets: the highest rate, and the processor time at a steady rate."""

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
TIMEOUT_S = 60.0
SETTLE_S = 8.0
"""Time for what the daemon does once after its start, such as reading versions."""
BASELINE_SETTLE_S = 2.0
ROUNDS = 3
BATCH = 10
CHANGES = 100
PACE = 5_000.0
PACE_S = 10.0

BARE_PROMPT_ID = "00000000-0000-4000-8000-000000000000"
WORKFLOW = REPOSITORY / "workflows/cache_models.json"
SETTINGS = {"workflows_dir": str(WORKFLOW.parent), "limits": {"max_warming": SOCKETS, "max_warming_per_host": SOCKETS},
            "fast_frames": True}  # fmt: skip
NO_CHECKS = {"timing": {"check_interval_s": 3_600}, "fast_frames": True}
"""No check is due while frames are measured, as in the baseline. The fleet's case measures the cost of checks."""
RECORDED = REPOSITORY / "tests/transcripts/0.3.75/01_success_with_progress.jsonl"
MONITOR = {
    "cpu_utilization": 13.4, "ram_total": 67_300_000_000, "ram_used": 23_300_000_000, "ram_used_percent": 34.7,
    "hdd_total": 1_000_000_000_000, "hdd_used": 500_000_000_000, "hdd_used_percent": 50.0, "device_type": "cuda",
    "gpus": [{"gpu_utilization": 97, "gpu_temperature": 66, "vram_total": 25_757_220_864, "vram_used": 18_257_220_864,
              "vram_used_percent": 70.9}],
}  # fmt: skip
"""What the Crystools plug-in sends to every client once a second."""

INTAKE = Figure(
    "frames_taken_in", "Frames read over 1,000 sockets, with `fast_frames`", "frames per core second",
    "`async for` over each socket, `orjson.loads`, uvloop", 2.0, "higher",
)  # fmt: skip
CHANGING = Figure(
    "frames_that_change", "Frames that each change a server's status, with `fast_frames`", "frames per core second",
    "the same loop with a dict as state machine", 0.8, "higher",
)  # fmt: skip
PACED = Figure(
    "frames_paced", "Processor time at 5,000 frames/s over 1,000 sockets, with `fast_frames`", "cores",
    "`async for` over each socket, `orjson.loads`, asyncio's event loop", 0.4, "lower",
)  # fmt: skip


def mixed_frames() -> list[bytes]:
    """Return the recorded frames of a job, with a frame of a monitor plug-in after each.

    The queue's length stays the same, so that no frame changes a state; `frames_that_change` measures such frames.
    """
    monitor = text_frame("crystools.monitor", MONITOR)
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    job = [line["frame"] for line in lines if line["conn"] == "owner" and "frame" in line]
    return [wire for frame in job for wire in (_encode(frame), monitor)]


def _encode(frame: dict[str, Any]) -> bytes:
    return status_frame(1) if frame["type"] == "status" else text_frame(frame["type"], frame["data"])


def progress_frames(prompt_id: str, nodes: int) -> list[bytes]:
    """Return the progress frames of a graph with `nodes` nodes, one for each hundredth."""
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
    """Return the frames per second of the child's processor time.

    The sender's speed does not affect it. Frames are sent in batches, because several wait at each socket when a
    process is at its limit.
    """
    began, sent = child.cpu_s(), 0
    longest = max(map(len, frames.values()))
    for start in range(0, longest, BATCH):
        for number, of_server in frames.items():
            part = of_server[start : start + BATCH]
            fleet.sockets[number].send(b"".join(part))
            sent += len(part)
        await asyncio.sleep(0)
    await fleet.wait_read(TIMEOUT_S)
    return sent / (child.cpu_s() - began)


async def _intake(fleet: StandIn, child: Child) -> float:
    return await _capacity(fleet, child, dict.fromkeys(range(SOCKETS), mixed_frames() * ROUNDS))


async def _changes(fleet: StandIn, child: Child, prompt_ids: Mapping[int, str]) -> float:
    """Measure frames that report the progress of a warm-up, or elsewhere a new queue length."""
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
    """Return the cores in use while frames arrive one by one, about five each millisecond.

    The process sleeps between them. Half of the daemon's time is the kernel's, for waking it and for reading.
    """
    frames = mixed_frames()
    turns = ((turn % SOCKETS, frames[turn // SOCKETS % len(frames)]) for turn in itertools.count())
    began = child.cpu_s()
    await fleet.pace(turns, PACE, PACE_S)
    await fleet.wait_read(TIMEOUT_S)
    return (child.cpu_s() - began) / PACE_S


async def _ours_mixed(_: Options) -> Measured:
    async with StandIn(SOCKETS).listening() as fleet, daemon(fleet.urls, NO_CHECKS) as ours:
        await fleet.wait_connected(SOCKETS, TIMEOUT_S)
        await fleet.wait_checked(SOCKETS, TIMEOUT_S)
        await asyncio.sleep(SETTLE_S)
        return {INTAKE.id: await _intake(fleet, ours.child), PACED.id: await _paced(fleet, ours.child)}


async def _baseline_mixed(_: Options) -> Measured:
    measured = {}
    async with _baseline_reader("uvloop", state=False) as (fleet, child):
        measured[INTAKE.id] = await _intake(fleet, child)
    async with _baseline_reader("asyncio", state=False) as (fleet, child):
        measured[PACED.id] = await _paced(fleet, child)
    return measured


async def _ours_changing(_: Options) -> Measured:
    """Measure while every second server is cold and runs a warm-up."""
    fleet = StandIn(SOCKETS)
    fleet.loaded[::2] = [False] * (SOCKETS // 2)
    all_warming = asyncio.Event()

    def run(number: int, body: dict[str, Any]) -> None:
        fleet.running[number] = body["prompt_id"]
        if len(fleet.running) == SOCKETS // 2:
            all_warming.set()

    fleet.on_prompt = run
    async with fleet.listening(), daemon(fleet.urls, SETTINGS) as ours, asyncio.timeout(TIMEOUT_S):
        await fleet.wait_connected(SOCKETS, TIMEOUT_S)
        await all_warming.wait()
        await asyncio.sleep(SETTLE_S)
        return {CHANGING.id: await _changes(fleet, ours.child, fleet.running)}


async def _baseline_changing(_: Options) -> Measured:
    async with _baseline_reader("uvloop", state=True) as (fleet, child):
        return {CHANGING.id: await _changes(fleet, child, dict.fromkeys(range(0, SOCKETS, 2), BARE_PROMPT_ID))}


@asynccontextmanager
async def _baseline_reader(loop: str, *, state: bool) -> AsyncIterator[tuple[StandIn, Child]]:
    fleet = StandIn(SOCKETS)
    options = {"urls": fleet.urls, "loop": loop, "state": state}
    async with fleet.listening(), baseline("frames", options) as child:
        await fleet.wait_connected(SOCKETS, TIMEOUT_S)
        await asyncio.sleep(BASELINE_SETTLE_S)
        yield fleet, child


FRAMES = Case((INTAKE, PACED), _ours_mixed, _baseline_mixed)
FRAMES_THAT_CHANGE = Case((CHANGING,), _ours_changing, _baseline_changing)
