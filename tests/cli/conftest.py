"""The daemon of most tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.rig import SmallDaemon, small_daemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[SmallDaemon]:
    """Provide a daemon without a token, with one loaded and one cold server."""
    async with small_daemon(tmp_path) as running:
        yield running
