"""The daemon of most tests, and its fleet."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statemachine.client import Fleet
from tests.cli.rig import SmallDaemon, small_daemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[SmallDaemon]:
    """Provide a daemon without a token, with one loaded and one cold server."""
    async with small_daemon(tmp_path) as running:
        yield running


@pytest.fixture
async def fleet(daemon: SmallDaemon) -> AsyncIterator[Fleet]:
    """Provide the fleet of that daemon."""
    async with Fleet(f"http://127.0.0.1:{daemon.port}") as opened:
        yield opened
