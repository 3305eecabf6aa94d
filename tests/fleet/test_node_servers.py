"""Servers with the companion node, over real sockets: evictions, restarts and foreign loads."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon

EVICTIONS = 6
TARGET_S = 0.1
BETWEEN_S = 0.3
"""Longer than the shortest interval between two checks caused by foreign work; a sooner check would be delayed."""

QUICK = replace(PROFILES["node"], loaded=True, load_seconds=0.0)
SLOW = replace(PROFILES["node"], load_seconds=60.0)


def shown(seconds: list[float]) -> str:
    return f"{1000 * median(seconds):.1f} ms (worst {1000 * max(seconds):.1f})"


@pytest.mark.alone
async def test_eviction_is_published_within_target(tmp_path: Path) -> None:
    unknown_s, cold_s = [], []
    no_pause_between_evictions = {"failed_retry_s": 0.05}
    async with (
        running_fleet([QUICK]) as fleet,
        daemon(tmp_path, fleet.urls, timing=no_pause_between_evictions) as recorder,
    ):
        (server,) = fleet.servers
        await recorder.reached("loaded")
        for _ in range(EVICTIONS):
            await asyncio.sleep(BETWEEN_S)
            mark, at = recorder.length, time.monotonic()
            server.drop_keys(keep_executor=False)
            received_at, unknown = await recorder.reached("unknown", mark)
            assert (unknown["reason"], unknown["proved_by"]) == ("cache_changed", "ws")
            unknown_s.append(received_at - at)
            cold_s.append((await recorder.reached("cold", mark))[0] - at)
            await recorder.reached("loaded", mark)
        kind = (await recorder.detail(fleet.members[0].name))["check"]["kind"]
    print(f"eviction to the event stream, median of {EVICTIONS}: unknown {shown(unknown_s)}, cold {shown(cold_s)}")
    assert kind == "node"
    assert median(unknown_s) < TARGET_S
    assert median(cold_s) < TARGET_S


async def test_keys_loaded_by_others_trigger_check_without_submission(tmp_path: Path) -> None:
    """A user's prompt keeps the queue busy, so the daemon waits; the keys are loaded meanwhile."""
    async with running_fleet([PROFILES["node"]]) as fleet:
        (server,) = fleet.servers
        server.start_foreign_job(30.0)
        async with daemon(tmp_path, fleet.urls) as recorder:
            await recorder.reached("cold")
            server.process.load_everything()
            _, checking = await recorder.reached("checking", recorder.length - 1)
            await recorder.reached("loaded")
    assert checking["reason"] == "cache_changed"
    assert not server.log


async def test_restart_while_daemon_is_down_is_detected_by_instance(tmp_path: Path) -> None:
    """Without the instance, the prompt would be reported as lost, and not as ended by a restart."""
    async with running_fleet([SLOW]) as fleet:
        (server,) = fleet.servers
        async with daemon(tmp_path, fleet.urls) as recorder:
            await recorder.reached("warming")
            before = recorder.length
        await server.restart()
        async with daemon(tmp_path, fleet.urls, timing={"lost_grace_s": 3600}) as recorder:
            _, submitting = await recorder.reached("submitting", before)
            _, settled = await recorder.reached("unknown", before)
            await recorder.reached("warming", before)
    assert submitting["reason"] == "prompt_in_doubt"
    assert (settled["reason"], settled["proved_by"]) == ("server_restarted", "history")
    assert len(server.log) == 2


async def test_auto_executing_server_receives_no_submission(tmp_path: Path) -> None:
    profile = replace(PROFILES["node_starting"], load_seconds=0.1)
    async with running_fleet([profile]) as fleet, daemon(tmp_path, fleet.urls) as recorder:
        (server,) = fleet.servers
        await recorder.reached("auto_executing")
        await recorder.reached("loaded")
        assert (server.own_workflows, len(server.log)) == (1, 0)


async def test_mixed_fleet_uses_each_server_check_kind(tmp_path: Path) -> None:
    profiles = [replace(PROFILES[name], loaded=True) for name in ("loaded", "inspire", "node")]
    async with running_fleet(profiles) as fleet, daemon(tmp_path, fleet.urls) as recorder:
        for member in fleet.members:
            await recorder.reached("loaded", server=member.name)
        kinds = [(await recorder.detail(one.name))["check"]["kind"] for one in fleet.members]
    assert kinds == ["text", "inspire", "node"]
