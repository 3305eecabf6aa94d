"""The first check after a warm-up of ours: what may contradict its success without being true.

ComfyUI reports success before the history has it, by 2 ms on a stock 0.33.0 and by more on other servers.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile

from statemachine.comfyui.errors import AbsentError, AccessDeniedError, ComfyError
from statemachine.core import events
from statemachine.core.server import Attempt, Server
from statemachine.core.vocabulary import Source
from statemachine.fleet.context import ServerContext

HISTORY_WAIT_S = 5.0
FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0

SECOND_LOOK_S = 0.3
"""Pause before an answer that contradicts our success is asked for again."""

STALE_HISTORY_S = 5.0
"""The same for a check that reads the history: a caching gateway may answer for a few seconds with an earlier one."""

EVIDENCE_WAIT_S = 5.0
"""Time to find out whether foreign work has run. The verdict of the check waits for it."""

LATEST_PROMPTS = 20

CheckEvent = events.CheckAnswered | events.CheckUnusable


async def wait_for_history(context: ServerContext) -> None:
    """Wait, at most `HISTORY_WAIT_S`, until the history has the prompt whose success a frame reported.

    Only a check that reads the history needs it.
    """
    attempt = _fresh_success(context.server)
    if attempt is None or attempt.confirmed_by is not Source.WS or not context.check.reads_history:
        return
    pause_s = FIRST_PAUSE_S
    with suppress(TimeoutError):
        async with asyncio.timeout(HISTORY_WAIT_S):
            while not await _is_in_history(context, attempt):
                await asyncio.sleep(pause_s)
                pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)


async def _is_in_history(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether the history has the prompt, or there is none to read."""
    try:
        return await context.client.history_entry(attempt.server_prompt_id) is not None
    except (AbsentError, AccessDeniedError):
        return True
    except ComfyError:
        return False


async def confirmed(
    context: ServerContext, event: CheckEvent, ask_again: Callable[[], Awaitable[CheckEvent | None]]
) -> CheckEvent | None:
    """Return the event of a check, asked once more if it contradicts our success; None if there is no answer then."""
    if not _contradicts(event, context.server):
        return event
    await asyncio.sleep(STALE_HISTORY_S if context.check.reads_history else SECOND_LOOK_S)
    second, attempt = await ask_again(), _fresh_success(context.server)
    if isinstance(second, events.CheckAnswered) and attempt is not None and _contradicts(second, context.server):
        return replace(second, evicted=await _was_evicted(context, attempt))
    return second


def _fresh_success(server: Server) -> Attempt | None:
    """Return our last success until a check has judged it."""
    return server.succeeded if server.succeeded is not None and not server.succeeded.judged else None


def _contradicts(event: CheckEvent, server: Server) -> bool:
    """Return whether the workflow that has just succeeded is needed, and the server does not load it by itself."""
    attempt = _fresh_success(server)
    if attempt is None or not isinstance(event, events.CheckAnswered) or event.auto_executing:
        return False
    return attempt.workflow in event.needed


async def _was_evicted(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether another prompt is queued or running, or has ended after ours according to the history."""
    with suppress(TimeoutError):
        async with asyncio.timeout(EVIDENCE_WAIT_S):
            return await _others_queued(context, attempt) or await _others_followed(context, attempt)
    return False


async def _others_queued(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether a prompt other than ours is queued or running, listed or not."""
    try:
        queue = await context.client.queue()
    except ComfyError:
        return False
    return sum(item.is_of(attempt) for item in queue.items) < queue.length


async def _others_followed(context: ServerContext, attempt: Attempt) -> bool:
    try:
        newest = await context.client.newest_history(LATEST_PROMPTS)
    except ComfyError:
        return False
    later = list(takewhile(lambda entry: not entry.is_of(attempt), newest))
    has_ours = len(later) < len(newest)
    return bool(later) if has_ours else len(newest) >= LATEST_PROMPTS
