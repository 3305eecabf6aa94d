"""Tests in virtual time, with the stages that they are played on: `looptime` does not speed up fixtures."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import wraps
from typing import Any

from campaigns.simulation.loop import VirtualLoop

Story = Callable[..., Coroutine[Any, Any, None]]


def in_virtual_time(story: Story) -> Callable[..., None]:
    """A test in a loop of its own. Context managers that it is given by fixtures are entered in that loop."""

    @wraps(story)
    def test(**given: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(_told(story, given))

    return test


async def _told(story: Story, given: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        for name, value in given.items():
            if isinstance(value, AbstractAsyncContextManager):
                given[name] = await stack.enter_async_context(value)
        await story(**given)
