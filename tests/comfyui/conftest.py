"""Fixtures for tests against real ComfyUI servers, which `pytest -m comfyui` selects."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.comfyui.companion import FLOW, Servers
from tests.comfyui.rig import Rig

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.comfyui)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Yield a rig for one test: `server = rig.server(…); await server.start()`. Stops its servers afterwards."""
    rig = Rig(tmp_path)
    yield rig
    rig.end()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    rig = Rig(tmp_path_factory.mktemp("node"))
    try:
        node, bare = rig.server(node=True, workflow=FLOW), rig.server(workflow=FLOW)
        starting = rig.server(node=True, auto_start=True, workflow=FLOW)
        await rig.start_all()
        yield Servers(node, starting, bare)
    finally:
        rig.end()
