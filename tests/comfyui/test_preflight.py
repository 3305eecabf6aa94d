"""The preflight against a real server: what it runs is not refused, and what it refuses is not posted."""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import running_over
from tests.comfyui.install import expected
from tests.comfyui.rig import CheckMode, Graph, RealServer, Rig, cache_workflow

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOADED = State.LOADED.value
FAILED = State.FAILED.value
FILE = "elsewhere.safetensors"
ADAPTER = "adapter.safetensors"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    """Yield a server with Inspire's list and one file that a stock loader lists; it is not a model."""
    rig = Rig(tmp_path_factory.mktemp("preflight"))
    server = rig.server(check_mode=CheckMode.NONE)
    file = server.folder / "models" / "controlnet" / ADAPTER
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no model")
    try:
        await server.start()
        yield server
    finally:
        rig.end()


@pytest.fixture(scope="module")
def keys() -> Iterator[str]:
    """Yield keys that no other test uses."""
    return (f"key-{number}" for number in count())


def flow_of(key: str, class_type: str, **inputs: object) -> Graph:
    """Return a workflow that caches what a node of this class loads. `_meta` is what the web page exports."""
    graph = cache_workflow(key)
    graph["10"] = {"class_type": class_type, "inputs": inputs, "_meta": {"title": class_type}}
    return graph


def version() -> tuple[int, ...]:
    return tuple(int(part) for part in expected().version.split("."))


async def knows_its_version(server: RealServer) -> bool:
    """Return whether the preflight can learn the version: 0.2.2 says `unknown`, which counts as the newest."""
    return bool((await server.get("/system_stats"))["system"]["comfyui_version"] != "unknown")


async def outcome(folder: Path, server: RealServer, flow: Graph) -> tuple[str, str, int]:
    """Return the state, the message and the number of prompts that the daemon posted."""
    posted = len(await server.history())
    async with running_over(folder, [server], {"flow": flow}) as daemon:
        detail = await daemon.wait_until(server, lambda detail: detail["state"] in (LOADED, FAILED))
    return detail["state"], f"{detail['reason']}: {detail['message']}", len(await server.history()) - posted


@pytest.mark.parametrize("class_type", ["RigFilledChoice", "RigPlaceholderChoice"])
async def test_preflight_choice_filled_by_javascript_is_posted(
    server: RealServer, keys: Iterator[str], tmp_path: Path, class_type: str
) -> None:
    state, message, posted = await outcome(tmp_path, server, flow_of(next(keys), class_type, file=FILE))
    assert (state, posted) == (LOADED, 1), message


@pytest.mark.parametrize("class_type", ["RigFileChoice", "RigComboChoice"])
async def test_preflight_agrees_with_the_server_about_files(
    server: RealServer, keys: Iterator[str], tmp_path: Path, class_type: str
) -> None:
    """Ask the server itself. ComfyUI before 0.8 accepts any value for the newer form."""
    accepts = await server.accepts(flow_of(next(keys), class_type, file=FILE))
    await server.wait_idle()
    assert accepts == (class_type == "RigComboChoice" and version() < (0, 8))
    state, message, posted = await outcome(tmp_path, server, flow_of(next(keys), class_type, file=FILE))
    if accepts and await knows_its_version(server):
        assert (state, posted) == (LOADED, 1), message
    else:
        assert (state, posted) == (FAILED, 0)
        assert message.startswith(f"{Reason.MISSING_MODELS}: workflow flow: node 10 ({class_type}, input file)")


async def test_preflight_replaced_class_is_posted(server: RealServer, keys: Iterator[str], tmp_path: Path) -> None:
    """ComfyUI 0.14 and later replaces the class and its inputs; earlier ones refuse it."""
    flow = flow_of(next(keys), "RigOldModel", old_name="a")
    state, message, posted = await outcome(tmp_path, server, flow)
    if version() < (0, 14):
        assert (state, posted) == (FAILED, 0)
        assert message.startswith(f"{Reason.MISSING_NODES}: workflow flow: node class RigOldModel")
        return
    assert (state, posted) == (LOADED, 1), message
    newest = list((await server.history()).values())[-1]
    assert newest["prompt"][2]["10"]["class_type"] == "RigSlowModel"


async def test_preflight_class_replaced_by_comfyui_itself_is_posted(
    server: RealServer, keys: Iterator[str], tmp_path: Path
) -> None:
    """The new loader lists the old loader's file. It is not a model, so the node raises."""
    if version() < (0, 14):
        pytest.skip("ComfyUI replaces node classes since 0.14")
    listed = flow_of(next(keys), "T2IAdapterLoader", t2i_adapter_name=ADAPTER)
    state, message, posted = await outcome(tmp_path, server, listed)
    assert (state, posted) == (FAILED, 1)
    assert message.startswith(f"{Reason.PROMPT_FAILED}: node 10 (ControlNetLoader) raised")
    other = flow_of(next(keys), "T2IAdapterLoader", t2i_adapter_name=FILE)
    state, message, posted = await outcome(tmp_path, server, other)
    assert (state, posted) == (FAILED, 0)
    assert message.startswith(f"{Reason.MISSING_MODELS}: workflow flow: node 10 (ControlNetLoader")
