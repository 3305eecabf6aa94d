"""One browser for all tests, one deployment for tests that only read, and a new one for each of the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.fleets import Deployment, twelve
from tests.browser.visit import running_browser


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Start Chromium once."""
    async with running_browser() as chromium:
        yield chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """Run twelve idle servers for all tests that only read."""
    async with twelve(tmp_path_factory.mktemp("shared")) as deployment:
        yield deployment


@pytest_asyncio.fixture(loop_scope="session")
async def deployment(tmp_path: Path) -> AsyncIterator[Deployment]:
    """Run twelve idle servers for one test."""
    async with twelve(tmp_path) as deployment:
        yield deployment
