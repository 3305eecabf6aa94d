"""Fixtures and options of every test."""

import asyncio
import signal

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)  # a busy machine is slow, not wrong
settings.load_profile("repeatable")
"""A failure must reproduce in the next run. `--hypothesis-profile=default` generates new examples."""


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores SIGINT for what it starts in the background, and the processes of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_implicit_event_loop() -> None:
    """Prevent an unclosed loop: Python 3.11 creates one when pytest-asyncio asks for the current one."""
    asyncio.set_event_loop(None)
