"""A daemon for tests that need nothing special."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.rig import SmallDaemon, small_daemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[SmallDaemon]:
    """Without a token, over one loaded and one cold server."""
    async with small_daemon(tmp_path) as running:
        yield running
