"""Fixtures of the tests of the web side."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.web.site import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a site without a token over one loaded and one cold server."""
    async with running_site(tmp_path) as running:
        yield running


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """Collect the program log's messages."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line).rstrip("\n")), format="{message}", backtrace=False)
    yield lines
    logger.remove(sink)
