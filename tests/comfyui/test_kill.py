"""The daemon as a process over real ComfyUI servers, killed with SIGKILL 20 times. Their own histories judge."""

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
from campaigns.kill.readers import Reading, Records, read_stream
from tests.comfyui.daemon import QUICK, ours
from tests.comfyui.rig import Manner, RealServer, Rig, cache_workflow

KILLS = 20
SEED = 3
FLOW = cache_workflow("a", "b", seconds=0.4)
SEEN_S = 6.0
WELL_S = 60.0
POLL_S = 0.02
MARKER = "comfywarm"
ENDS = ("execution_success", "execution_error", "execution_interrupted")


@pytest.mark.timeout(300)
async def test_killed_at_any_moment_no_server_ever_has_two_warm_ups_or_stays_cold(rig: Rig, tmp_path: Path) -> None:
    says = rig.server(workflow=FLOW)
    inspire = rig.server(manner=Manner.NONE, workflow=FLOW)
    stock = rig.server(manner=Manner.NONE, inspire=False, workflow=FLOW)
    await rig.start_all()
    daemon, reading = _daemon(tmp_path, rig.servers), Reading("stream")
    reader = asyncio.create_task(read_stream(daemon.address, reading))
    rng = Random(SEED)
    for _ in range(KILLS):
        await daemon.start()
        await _kill(daemon, rig.servers, rng)
        await _make_cold(rng.choice([says, inspire, stock]))
    await daemon.start()
    await _all_loaded(daemon)
    assert await daemon.end() == 0
    reader.cancel()
    records = Records(daemon.journal_file)
    for server in rig.servers:
        history = await server.history()
        assert _together(history) == []
        assert set(ours(history)) <= set(records.attempts)
        assert not any((await server.queue()).values())
        assert [entry["prompt"][0] for entry in history.values()] == list(range(len(history))), "an id was used twice"
    for server in (says, inspire):
        assert {"a", "b"} <= set(await server.cached_keys())
    assert list(await stock.history())[-1] in ours(await stock.history())
    warm_ups = [len(ours(await server.history())) for server in rig.servers]
    print(f"{KILLS} kills, warm-ups {warm_ups}, {len(records.log)} events, {len(reading.told)} read")
    assert sum(warm_ups) >= KILLS / 2, "too little was at stake"
    assert records.gaps() + records.complaints(reading) + daemon.faults() == []


def _daemon(folder: Path, servers: Sequence[RealServer]) -> DaemonProcess:
    (folder / "workflows").mkdir()
    (folder / "workflows" / "flow.json").write_text(json.dumps(FLOW), encoding="utf-8")
    settings = {
        "servers": [server.url for server in servers],
        "workflows": ["flow"],
        "timing": {**QUICK, "check_interval_s": 0.5, "lost_grace_s": 1},
        "limits": {"max_warming_per_host": 8},
    }
    return DaemonProcess(folder, settings)


async def _kill(daemon: DaemonProcess, servers: Sequence[RealServer], rng: Random) -> None:
    """Half the time once a prompt of ours is seen on a server, else within the first three seconds."""
    if rng.random() < 0.5:
        await _until_one_of_ours_is_queued(servers)
        await asyncio.sleep(rng.choice([0.0, rng.uniform(0.0, 1.0)]))
    else:
        await asyncio.sleep(rng.uniform(0.2, 3.0))
    daemon.strike()
    await daemon.gone()


async def _until_one_of_ours_is_queued(servers: Sequence[RealServer]) -> None:
    give_up = time.monotonic() + SEEN_S
    while time.monotonic() < give_up:
        for server in servers:
            items = [item for part in (await server.queue()).values() for item in part]
            if any(MARKER in item[3] for item in items):
                return
        await asyncio.sleep(POLL_S)


async def _make_cold(server: RealServer) -> None:
    """Behind the back of a dead daemon: keys dropped while the executor holds their nodes, and a user's work."""
    await server.clear_keys()
    await server.submit(cache_workflow("other", seconds=0.1))


async def _all_loaded(daemon: DaemonProcess) -> None:
    give_up = time.monotonic() + WELL_S
    await daemon.until_answering()
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{daemon.address}/api/status") as response:
                status = await response.json()
            if status["states"] == {"loaded": status["total"]}:
                return
            assert time.monotonic() < give_up, status
            await asyncio.sleep(POLL_S)


def _together(history: dict[str, Any]) -> list[tuple[str, str]]:
    """Prompts of ours that were queued before the one before them had ended: by the server's own clock."""
    mine = sorted((history[prompt_id] for prompt_id in ours(history)), key=_created)
    return [(one["prompt"][1], two["prompt"][1]) for one, two in pairwise(mine) if _created(two) < _ended(one)]


def _created(entry: dict[str, Any]) -> int:
    return int(entry["prompt"][3]["create_time"])


def _ended(entry: dict[str, Any]) -> int:
    kind, data = entry["status"]["messages"][-1]
    assert kind in ENDS, kind
    return int(data["timestamp"])
