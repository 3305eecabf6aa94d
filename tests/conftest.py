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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order tests by timeout, longest first, so that no parallel worker starts a long test at the end of the run."""
    if hasattr(config, "workerinput"):
        items.sort(key=_timeout_s, reverse=True)


def _timeout_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0
