"""The task of a paused server: end the pause at its time."""

from statemachine.core import events
from statemachine.fleet.context import ServerContext

LOOK_S = 60.0
"""The longest wait between two looks at the wall clock, which may be set."""


async def end_pause(context: ServerContext) -> None:
    """Wait for the end of the pause, which another request may move, and report it."""
    while (until := context.server.pause.until) is not None:
        left = until - context.fleet.clock.now()
        if left <= 0.0:
            context.post(events.PauseEnded())
            return
        await context.wait(min(left, LOOK_S))
