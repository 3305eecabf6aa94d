"""Run tests, and the context managers of their fixtures, in virtual time, which `looptime` does not do for fixtures."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import wraps
from typing import Any

from campaigns.simulation.loop import VirtualLoop

AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def in_virtual_time(test: AsyncTest) -> Callable[..., None]:
    """Run the test in its own loop. Enter context managers that fixtures return in that loop."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(_entered(test, arguments))

    return run


async def _entered(test: AsyncTest, arguments: dict[str, Any]) -> None:
    async with AsyncExitStack() as stack:
        for name, value in arguments.items():
            if isinstance(value, AbstractAsyncContextManager):
                arguments[name] = await stack.enter_async_context(value)
        await test(**arguments)
