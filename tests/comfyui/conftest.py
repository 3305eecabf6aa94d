"""Everything in this folder runs against real ComfyUI servers, when asked for: `pytest -m comfyui`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.comfyui.rig import Rig

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.comfyui)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Real servers for one test: `server = rig.server(manner=…); await server.start()`. Ended after it."""
    rig = Rig(tmp_path)
    yield rig
    rig.end()


@pytest.fixture(scope="session")
def session_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Real servers for the whole run: for tests that leave a server as they found it."""
    rig = Rig(tmp_path_factory.mktemp("rig"))
    yield rig
    rig.end()
