"""The task of a server that is to be restarted: let it finish its prompts, record the hook, and start it."""

import asyncio
from dataclasses import dataclass, replace

from statemachine.comfyui.errors import AbsentError, ComfyError, ConnectRefusedError
from statemachine.core import events
from statemachine.core.messages import NO_MESSAGE, Message, message
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.fleet.lookup import Lookup
from statemachine.journal.port import JournalUnavailableError

SETTLE_S = 3.0
"""How long the queue must be empty: load balancers ask once a second, and clients still fetch their results."""

FRESH_S = 60.0
"""How long a diagnosis counts, and a request after its time limit: perhaps no daemon looked at the server meanwhile."""

TAKE_BACK_S = 15.0
"""How long gateways may take to move their waiting prompts from a server that runs none to other servers."""

LOOK_S = 1.0
"""Pause between two looks at the queue."""


@dataclass(slots=True)
class _DrainLooks:
    """What the looks at the queue have shown. `empty_since` is loop time, `count` the length in the last answer.

    `gateways_at` is when prompts that gateways have sent last waited there.

    `refused`: connections in a row that were refused, because no process listens. `lookup` looks our own prompt up: its
    absence takes several looks.
    """

    refused: int = 0
    empty_since: float | None = None
    count: int | None = None
    gateways_at: float | None = None
    trouble: Message = NO_MESSAGE
    lookup: Lookup | None = None

    @property
    def is_settling(self) -> bool:
        """Whether the last look found the queue empty, or our prompt absent, and this is not confirmed yet."""
        is_missing = self.lookup is not None and self.lookup.attempt.is_open and self.lookup.absent_since is not None
        return is_missing or (self.empty_since is not None and not self.is_drained)

    @property
    def is_of_gateways(self) -> bool:
        """Whether gateways still take prompts back, and confirm then that none of them had begun."""
        return self.gateways_at is not None and loop_time() - self.gateways_at < SETTLE_S

    @property
    def is_drained(self) -> bool:
        """Whether the queue has been empty for long enough."""
        return self.empty_since is not None and loop_time() - self.empty_since >= SETTLE_S


async def drain(context: ServerContext) -> None:
    """Wait until the server has finished its prompts, at most for the time limit, and start the hook.

    A server whose worker or process has died, or that did not answer before, finishes nothing, so it is not waited for.
    A hook that an earlier restart has left running ends first.
    """
    restart = context.server.open_restart
    if restart is None:
        return
    await _earlier_hook_ended(context)
    if (withheld := _withheld(context, restart)) is not None:
        context.post(withheld)
        return
    queue = _DrainLooks()
    until = loop_time() + _left_s(context, restart)
    context.waits(message("wait.drain"), until - loop_time(), at_most=True)
    while not await _has_ended(context, restart, queue, until):  # noqa: ASYNC110 - a pause between looks
        await asyncio.sleep(min(LOOK_S, context.fleet.settings.timing.retry_s))


async def _earlier_hook_ended(context: ServerContext) -> None:
    """Wait for the hook of an earlier restart: that of another daemon has ended once its time limit is over."""
    if (hook := context.fleet.running_hooks.get(context.config.name)) is not None:
        await asyncio.wait((hook.task,))
    if (left_s := context.earlier_hook_until - loop_time()) > 0:
        await context.sleep(message("wait.hook"), left_s)


async def _has_ended(context: ServerContext, restart: Restart, queue: _DrainLooks, until: float) -> bool:
    """Look once; start the hook or report that it is not run. Return False if the server is still waited for."""
    verdict, mark = await _verdict(context, restart, queue, until), None
    if isinstance(verdict, Message):
        mark = await _newest_prompt(context)
        verdict = await _verdict(context, restart, queue, until)  # the last look, right before the record
    if isinstance(verdict, Message):
        await _start_hook(context, restart, mark, verdict)
    elif verdict is not None:
        context.post(verdict)
    return verdict is not None


async def _verdict(
    context: ServerContext, restart: Restart, queue: _DrainLooks, until: float
) -> Message | events.RestartWithheld | None:
    """Look once. Return why the hook may start, or that it is not run; None if the server is still waited for."""
    why = await _ready(context, restart, queue)
    if why is None and loop_time() >= until and not queue.is_settling:
        return _after_timeout(context, queue)
    return why


def _withheld(context: ServerContext, restart: Restart) -> events.RestartWithheld | None:
    """Return why the hook may not be run at all: there is none any more, or its request is an old one."""
    if context.config.restart.hook is None:
        return events.RestartWithheld(Reason.HOOK_MISSING, message("reason.hook_missing"))
    age_s = context.restart_age_s(restart.requested_at)
    if age_s <= context.config.restart.drain_timeout_s + FRESH_S:
        return None
    return events.RestartWithheld(Reason.DRAIN_TIMED_OUT, message("restart_too_old", seconds=round(age_s)))


def _left_s(context: ServerContext, restart: Restart) -> float:
    """Return the rest of the time limit, which a restart of the daemon does not extend."""
    limit_s = context.config.restart.drain_timeout_s
    return max(0.0, limit_s - context.restart_age_s(restart.requested_at))


async def _ready(context: ServerContext, restart: Restart, queue: _DrainLooks) -> Message | None:
    """Look once. Return why the hook may start, None if it has to wait."""
    await _look(context, restart, queue)
    age_s = context.restart_age_s(restart.requested_at)
    is_fresh = age_s <= FRESH_S and context.ages.is_certain(restart.requested_at)
    if restart.cause is RestartCause.STUCK and is_fresh:
        waits = queue.is_of_gateways and age_s < TAKE_BACK_S
        return None if waits else message("drained_dead", count=queue.count or 0)
    if context.server.away_since_request or queue.refused >= context.server.reachability.fall:
        return message("drained_away")
    return message("drained") if queue.is_drained else None


async def _look(context: ServerContext, restart: Restart, queue: _DrainLooks) -> None:
    """Look at the queue, and at our own prompt if it may be there. Only an answer with its count shows it empty."""
    try:
        length = await _queue_length(context, restart, queue)
        attempt = context.server.open_attempt
        if attempt is not None and not length:
            await _settle_attempt(context, attempt, queue)
        else:
            queue.lookup = None
    except ComfyError as error:
        queue.empty_since, queue.lookup, queue.trouble = None, None, error.message
        queue.refused = queue.refused + 1 if isinstance(error, ConnectRefusedError) else 0
        return
    queue.count, queue.trouble, queue.refused = length, NO_MESSAGE, 0
    attempt = context.server.open_attempt
    is_empty = length == 0 and (attempt is None or attempt.stuck)
    queue.empty_since = (queue.empty_since or loop_time()) if is_empty else None


async def _queue_length(context: ServerContext, restart: Restart, queue: _DrainLooks) -> int:
    """Return the queue's length. The whole queue, which may be large, is read only if the count shows no prompt.

    That of a server that runs none is read for the prompts of gateways.
    """
    is_stuck = restart.cause is RestartCause.STUCK
    if (remaining := await context.client.queue_remaining()) and not is_stuck:
        return remaining
    listing = await context.client.queue()
    if listing.of_gateways:
        queue.gateways_at = loop_time()
    return listing.length


async def _settle_attempt(context: ServerContext, attempt: Attempt, queue: _DrainLooks) -> None:
    """Look our own prompt up once more, and report its end."""
    if queue.lookup is None or queue.lookup.attempt is not attempt:
        queue.lookup = Lookup(context, attempt)
    if (found := await queue.lookup.look()) is not None:
        context.post(found)


def _after_timeout(context: ServerContext, queue: _DrainLooks) -> Message | events.RestartWithheld:
    """Return why the hook may start although prompts are left, or that it may not. An unknown queue is left alone."""
    settings = context.config.restart
    seconds, count = settings.drain_timeout_s, queue.count
    if settings.when_not_drained == "go_on":
        return message("not_drained_restart", seconds=seconds, count=count if count is not None else "?")
    if count is None or queue.trouble:
        why = message("queue_not_seen", seconds=seconds, cause=queue.trouble)
    else:
        why = message("not_drained", seconds=seconds, count=count)
    return events.RestartWithheld(Reason.DRAIN_TIMED_OUT, why)


async def _start_hook(context: ServerContext, restart: Restart, mark: str | None, why: Message) -> None:
    """Record the hook durably, and then report that it starts.

    A hook that cannot be recorded now is not run at all: the queue may be full again when it can be.
    """
    cursor = context.server.node_cursor
    instance = cursor.instance if cursor is not None else None
    context.note_ages()
    counted = replace(restart, hooks=context.ages.recent(restart.hooks))
    recorded = counted.hook_begun(instance, mark, context.fleet.clock.now())
    try:
        await context.fleet.journal.record_restart(recorded)
    except JournalUnavailableError as error:
        cause = error.message
    else:
        if context.fleet.ownership.may_submit(context.config.name):
            context.hook_due = restart.id
            context.post(events.HookStarted(recorded, why))
            return
        cause = message("other_daemon_may_own")
    unrecorded = message("hook_unrecorded", cause=cause)
    context.post(events.RestartWithheld(Reason.JOURNAL_UNAVAILABLE, unrecorded))


async def _newest_prompt(context: ServerContext) -> str | None:
    """Return the newest prompt of the history, which is gone when the process is; None if there is none."""
    try:
        newest = await context.client.newest_history(1)
    except (AbsentError, ComfyError):
        return None
    return newest[0].prompt_id if newest else None
