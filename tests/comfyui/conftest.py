"""Fixtures for tests against real ComfyUI servers, which `pytest -m comfyui` selects."""

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
    """Yield a rig for one test: `server = rig.server(…); await server.start()`. Stops its servers afterwards."""
    rig = Rig(tmp_path)
    yield rig
    rig.end()
