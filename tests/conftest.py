"""What every test needs."""

import asyncio

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("repeatable")
"""What bars a change must be found again by whoever runs it next; `--hypothesis-profile=default` searches anew."""


@pytest.fixture(scope="session", autouse=True)
def _no_loop_made_in_passing() -> None:
    """pytest-asyncio asks for the current loop before its first test; Python 3.11 would make one that nobody closes."""
    asyncio.set_event_loop(None)
