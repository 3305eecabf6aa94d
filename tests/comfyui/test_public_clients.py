"""Public clients of ComfyUI beside the daemon: each gets its own pictures, and the server stays or becomes loaded."""

import asyncio
import json
from pathlib import Path

import pytest

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import RealServersClient, running_over, warm_ups_in
from tests.comfyui.pictures import colour_of
from tests.comfyui.public_clients import CLIENTS, Run, is_installed
from tests.comfyui.rig import CheckMode, Graph, RealServer, Rig, cache_workflow

PROMPTS = 3
LOADED = State.LOADED.value

pytestmark = pytest.mark.skipif(
    not all(map(is_installed, CLIENTS)), reason="install the clients with `python -m tests.comfyui.public_clients`"
)


def picture(red: int) -> Graph:
    """Return a graph that saves a picture in this shade of red, after some time."""
    slow = {"class_type": "RigSlowModel", "inputs": {"name": f"model {red}", "seconds": 0.2}}
    image = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": red << 16}}
    both = {"class_type": "RigAfter", "inputs": {"data": ["image", 0], "after": ["slow", 0]}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["both", 0], "filename_prefix": "same"}}
    nodes = {"slow": slow, "image": image, "both": both, "save": save}
    return {name: {**node, "_meta": {"title": name.capitalize()}} for name, node in nodes.items()}


async def run_all(folder: Path, server: RealServer) -> None:
    """Run all clients at the same time; assert that each has its own pictures."""
    runs: dict[str, Run] = {}
    shades: dict[Path, int] = {}
    for number, client in enumerate(CLIENTS):
        (folder / client).mkdir()
        files = {folder / client / f"{red}.json": red for red in range(10 * number + 1, 10 * number + 1 + PROMPTS)}
        for file, red in files.items():
            file.write_text(json.dumps(picture(red)), encoding="utf-8")
        runs[client] = Run(server, folder / client, list(files))
        shades |= files
    await asyncio.gather(*(CLIENTS[client](run) for client, run in runs.items()))
    assert {file: colour_of(file.with_suffix(".png").read_bytes())[0] for file in shades} == shades


async def end_of(daemon: RealServersClient, server: RealServer) -> list[tuple[str, str]]:
    """Wait until the server is loaded and idle, and return its transitions."""
    await server.wait_idle()
    await daemon.wait_until(server, lambda detail: detail["state"] == LOADED and detail["queue_remaining"] == 0)
    return await daemon.path_of(server)


@pytest.mark.timeout(180)
async def test_clients_beside_the_daemon_leave_keys_loaded(rig: Rig, tmp_path: Path) -> None:
    """They start while the server is being warmed."""
    flow = cache_workflow("a", seconds=2.0)
    server = rig.server(workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        await daemon.wait_state(server, State.WARMING.value)
        await run_all(tmp_path, server)
        path = await end_of(daemon, server)
    history = await server.history()
    assert len(warm_ups_in(history)) == 1
    assert len(history) == 1 + PROMPTS * len(CLIENTS)
    assert State.FAILED.value not in {state for state, _ in path}


@pytest.mark.timeout(180)
async def test_clients_beside_the_daemon_on_stock_server_are_served(rig: Rig, tmp_path: Path) -> None:
    """Each of their prompts may evict the models, so there are at most as many further warm-ups."""
    flow = cache_workflow("a", seconds=0.2)
    server = rig.server(check_mode=CheckMode.NONE, inspire=False, workflow=flow)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow}) as daemon:
        await daemon.wait_state(server, LOADED)
        await run_all(tmp_path, server)
        path = await end_of(daemon, server)
    history = await server.history()
    foreign = PROMPTS * len(CLIENTS)
    assert len(history) - len(warm_ups_in(history)) == foreign
    assert 1 < len(warm_ups_in(history)) <= 1 + foreign
    assert Reason.STILL_COLD_AFTER_SUCCESS not in {reason for _, reason in path}
