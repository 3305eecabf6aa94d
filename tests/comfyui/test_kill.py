"""The daemon's process over real ComfyUI servers, killed with SIGKILL 20 times."""

import asyncio
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from campaigns.kill.process import DaemonProcess
from campaigns.kill.readers import ReaderLog, Records, read_stream
from tests.comfyui.daemon import SHORT_TIMING, warm_ups_in
from tests.comfyui.rig import CheckMode, RealServer, Rig, cache_workflow

KILL_COUNT = 20
SEED = 3
FLOW = cache_workflow("a", "b", seconds=0.4)
SUBMISSION_TIMEOUT_S = 6.0
LOADED_TIMEOUT_S = 60.0
POLL_S = 0.02
MARKER = "comfywarm"
END_FRAMES = ("execution_success", "execution_error", "execution_interrupted")


@pytest.mark.timeout(300)
async def test_daemon_killed_20_times_never_overlaps_warm_ups(rig: Rig, tmp_path: Path) -> None:
    reporting = rig.server(workflow=FLOW)
    inspire = rig.server(check_mode=CheckMode.NONE, workflow=FLOW)
    stock = rig.server(check_mode=CheckMode.NONE, inspire=False, workflow=FLOW)
    await rig.start_all()
    daemon, reading = _daemon(tmp_path, rig.servers), ReaderLog("stream")
    reader = asyncio.create_task(read_stream(daemon.address, reading))
    rng = Random(SEED)
    for _ in range(KILL_COUNT):
        await daemon.start()
        await _kill_at_random(daemon, rig.servers, rng)
        await _make_cold(rng.choice([reporting, inspire, stock]))
    await daemon.start()
    await _wait_all_loaded(daemon)
    assert await daemon.end() == 0
    reader.cancel()
    records = Records(daemon.journal_file)
    for server in rig.servers:
        history = await server.history()
        assert _overlapping(history) == []
        assert set(warm_ups_in(history)) <= set(records.attempts)
        assert not any((await server.queue()).values())
        assert [entry["prompt"][0] for entry in history.values()] == list(range(len(history))), "a prompt id ran twice"
    for server in (reporting, inspire):
        assert {"a", "b"} <= set(await server.cached_keys())
    assert list(await stock.history())[-1] in warm_ups_in(await stock.history())
    warm_ups = [len(warm_ups_in(await server.history())) for server in rig.servers]
    print(f"{KILL_COUNT} kills, warm-ups {warm_ups}, {len(records.log)} events, {len(reading.entries)} read")
    assert sum(warm_ups) >= KILL_COUNT / 3, "too few warm-ups for a meaningful test"
    assert records.gaps() + records.problems(reading) + daemon.faults() == []


def _daemon(folder: Path, servers: Sequence[RealServer]) -> DaemonProcess:
    (folder / "workflows").mkdir()
    (folder / "workflows" / "flow.json").write_text(json.dumps(FLOW), encoding="utf-8")
    settings = {
        "servers": [server.url for server in servers],
        "workflows": ["flow"],
        "timing": {**SHORT_TIMING, "check_interval_s": 0.5, "lost_grace_s": 1},
        "limits": {"max_warming_per_host": 8},
    }
    return DaemonProcess(folder, settings)


async def _kill_at_random(daemon: DaemonProcess, servers: Sequence[RealServer], rng: Random) -> None:
    """Kill the daemon: half the time after a submission was seen, else within the first three seconds."""
    if rng.random() < 0.5:
        await _wait_for_submission(servers)
        await asyncio.sleep(rng.choice([0.0, rng.uniform(0.0, 1.0)]))
    else:
        await asyncio.sleep(rng.uniform(0.2, 3.0))
    daemon.kill()
    await daemon.wait_ended()


async def _wait_for_submission(servers: Sequence[RealServer]) -> None:
    deadline = time.monotonic() + SUBMISSION_TIMEOUT_S
    while time.monotonic() < deadline:
        for server in servers:
            items = [item for part in (await server.queue()).values() for item in part]
            if any(MARKER in item[3] for item in items):
                return
        await asyncio.sleep(POLL_S)


async def _make_cold(server: RealServer) -> None:
    """Drop the server's keys while the executor still caches their nodes, and submit a user's workflow."""
    await server.clear_keys()
    await server.submit(cache_workflow("other", seconds=0.1))


async def _wait_all_loaded(daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + LOADED_TIMEOUT_S
    await daemon.until_answering()
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{daemon.address}/api/status") as response:
                status = await response.json()
            if status["states"] == {"loaded": status["total"]}:
                return
            assert time.monotonic() < deadline, status
            await asyncio.sleep(POLL_S)


def _overlapping(history: dict[str, Any]) -> list[tuple[str, str]]:
    """Return pairs of warm-ups of which the second was queued before the first had ended, by the server's clock."""
    warm_ups = sorted((history[prompt_id] for prompt_id in warm_ups_in(history)), key=_created)
    return [(one["prompt"][1], two["prompt"][1]) for one, two in pairwise(warm_ups) if _created(two) < _ended(one)]


def _created(entry: dict[str, Any]) -> int:
    return int(entry["prompt"][3]["create_time"])


def _ended(entry: dict[str, Any]) -> int:
    kind, data = entry["status"]["messages"][-1]
    assert kind in END_FRAMES, kind
    return int(data["timestamp"])
