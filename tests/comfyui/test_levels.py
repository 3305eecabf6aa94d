"""Levels of warmth on real servers on the CPU: models that leave RAM while their keys stay."""

from pathlib import Path
from typing import Any

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.client import Graph
from tests.comfyui.companion import get_json
from tests.comfyui.daemon import attempts_in, running_over, warm_ups_in
from tests.comfyui.rig import RealServer, Rig

KEYS = ("ours", "inspire")
IN_RAM, UNLOADED = (dict.fromkeys(KEYS, level) for level in ("ram", "key"))


def flow() -> Graph:
    """Return a workflow that keeps a model of ComfyUI's model management under a key of each kind of cache node."""
    return {
        "10": {"class_type": "RigTorchModel", "inputs": {"name": "model"}},
        "20": {"class_type": "CacheModel //comfywarm", "inputs": {"key": "ours", "tag": "t", "data": ["10", 0]}},
        "21": {"class_type": "CacheBackendData //Inspire", "inputs": {"key": "inspire", "tag": "t", "data": ["10", 0]}},
    }


async def levels_of(server: RealServer) -> dict[str, str]:
    """Return the level of each key; the highest is RAM, because there is no GPU."""
    levels: dict[str, Any] = (await get_json(server, "?" + "&".join(f"key={key}" for key in KEYS)))["levels"]
    assert {place["highest"] for place in levels.values()} <= {"ram"}
    return {key: place["level"] for key, place in levels.items()}


async def test_daemon_loads_models_again_that_have_left_memory(rig: Rig, tmp_path: Path) -> None:
    """The executor still has the loader's output, so the same prompt would load nothing."""
    server = rig.server(node=True)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow()}, warm="vram") as daemon:
        detail = await daemon.wait_state(server, State.LOADED.value)
        assert (detail["level"], detail["levels"], await levels_of(server)) == ("ram", IN_RAM, IN_RAM)
        await server.post("/rig/unload", {})
        await daemon.wait_until(server, lambda detail: len(detail["attempts"]) > 1)
        detail = await daemon.wait_state(server, State.LOADED.value)
        assert (detail["level"], await levels_of(server)) == ("ram", IN_RAM)
        history = await server.history()
        again = attempts_in(history)[detail["attempts"][0]["prompt_id"]]
        cached = next(data["nodes"] for kind, data in again["status"]["messages"] if kind == "execution_cached")
        assert cached == ["10"]
        assert len(warm_ups_in(history)) == 2
        path = await daemon.path_of(server)
        assert (State.UNKNOWN.value, Reason.CACHE_CHANGED) in path
        assert (State.COLD.value, Reason.MODELS_UNLOADED) in path


async def test_daemon_shows_models_out_of_memory_where_key_is_enough(rig: Rig, tmp_path: Path) -> None:
    server = rig.server(node=True)
    await server.start()
    async with running_over(tmp_path, [server], {"flow": flow()}) as daemon:
        await daemon.wait_state(server, State.LOADED.value)
        await server.post("/rig/unload", {})
        detail = await daemon.wait_until(server, lambda detail: detail["level"] == "key")
        assert (detail["state"], detail["levels"], len(detail["attempts"])) == (State.LOADED.value, UNLOADED, 1)
