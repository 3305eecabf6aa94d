"""What the companion node costs in a real ComfyUI server, and how soon its frames arrive."""

import asyncio
from pathlib import Path
from statistics import median

import pytest

from tests.comfyui.companion import Servers, listening
from tests.comfyui.rig import RealServer

pytestmark = pytest.mark.alone

CHANGE_COUNT = 50
RUN_COUNT = 12
ROUNDS = 8_000_000
IDLE_S = 4.0


async def test_frames_arrive_within_50_ms(servers: Servers) -> None:
    server, delays = servers.node, []
    async with listening(server, "quick") as listener:
        for index in range(CHANGE_COUNT):
            await asyncio.sleep(index * 0.007 % 0.02)  # vary the time since the node last looked
            at = (await server.post(f"/rig/{'drop' if index % 2 else 'put'}", {"keys": ["k"]}))["at"]
            await listener.next()
            delays.append(listener.frames[-1][0] - at)
    print(f"from a change to its frame, {CHANGE_COUNT} changes: median {median(delays) * 1000:.1f} ms, "
          f"maximum {max(delays) * 1000:.1f} ms")  # fmt: skip
    assert median(delays) < 0.05


async def test_node_slows_runs_by_less_than_20_percent(servers: Servers) -> None:
    """A node of pure Python, which a watching thread slows down most, runs alternately on both servers."""
    times: dict[str, list[float]] = {"with": [], "without": []}
    for run in range(RUN_COUNT):
        both = [("with", servers.node), ("without", servers.bare)]
        for name, server in both if run % 2 else reversed(both):
            times[name].append(await _work(server, run))
    ratio = median(times["with"]) / median(times["without"])
    print(f"{RUN_COUNT} runs on each server: median {median(times['with']):.0f} ms with the node, "
          f"{median(times['without']):.0f} ms without, ratio {ratio:.3f}")  # fmt: skip
    assert ratio < 1.2


async def _work(server: RealServer, seed: int) -> float:
    """Return the milliseconds from the start to the success of a run, by ComfyUI's clock."""
    prompt_id = await server.submit({"1": {"class_type": "RigWork", "inputs": {"rounds": ROUNDS, "seed": seed}}})
    await server.wait_idle()
    messages = dict((await server.history())[prompt_id]["status"]["messages"])
    return float(messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"])


async def test_node_idle_uses_less_than_2_percent_cpu(servers: Servers) -> None:
    before = [_cpu_s(server) for server in (servers.node, servers.bare)]
    await asyncio.sleep(IDLE_S)
    after = [_cpu_s(server) for server in (servers.node, servers.bare)]
    with_node, without = ((late - early) / IDLE_S for early, late in zip(before, after, strict=True))
    print(f"share of one processor while idle: {with_node:.2%} with the node, {without:.2%} without")
    assert with_node - without < 0.02


def _cpu_s(server: RealServer) -> float:
    """Return the CPU seconds of the main thread, which runs the event loop."""
    assert server.process
    schedstat = Path(f"/proc/{server.process.pid}/schedstat")
    return int(schedstat.read_text("ascii").split()[0]) / 1e9
