"""Fixtures of the tests of the web side."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.site import Site, running_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a site without a token over one loaded and one cold server."""
    async with running_site(tmp_path) as running:
        yield running
