"""One browser for all tests; a fleet of twelve for those that change something, and one for those that only read."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.fleets import World, twelve
from tests.browser.visit import running_browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, started once."""
    async with running_browser() as chromium:
        yield chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Twelve servers at rest, for tests that only read."""
    async with twelve(tmp_path_factory.mktemp("quiet")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="session")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Twelve servers, for one test to change."""
    async with twelve(tmp_path) as world:
        yield world
