"""The tasks that find out the state of a server, and the waits between them."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from statemachine.comfyui.errors import (
    AccessDeniedError,
    ComfyError,
    IncompleteQueueError,
    NotAnsweringError,
    RateLimitedError,
    TooLargeError,
)
from statemachine.comfyui.server_json import intern_text
from statemachine.comfyui.workflow import WorkflowError, WorkflowMissingError
from statemachine.core import events
from statemachine.core.backoff import backoff, spread
from statemachine.core.messages import joined, message
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.fleet import after_success
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.settings.model import Timing

STALE_PAUSE_S = 0.05
"""Pause before a stale answer is asked for again."""

FOREIGN_GAP_S = 0.25
"""Minimum time between two checks that foreign work causes. Users' jobs may end many times a second, and a server that
waits for its check receives no traffic."""

RESTARTS, RESTARTS_WITHIN_S = 6, 60.0
"""Most checks that restarts cause within so many seconds. A companion node reports a restart with a frame. A faulty one
may report many a second, each with three entries in the event log."""

LOADING_LOOKS = 5
"""Looks for a prompt that loads our keys, before the check is asked although the queue does not show all prompts."""


AUTO_ROUNDS_AT_PACE = 4
"""Rounds at the configured pace; then it doubles, for a server whose own loading keeps failing."""

MOST_DOUBLINGS = 32
"""More than any pace needs. A float can be doubled 1,023 times, which such a server reaches within days."""


CHANGES: Mapping[Reason, tuple[int, float]] = {
    Reason.FOREIGN_WORK_FINISHED: (60, 1.0),
    Reason.CACHE_CHANGED: (12, 10.0),
}
"""Checks that changes of a kind may cause: so many at once, and then one in so many seconds. Users' jobs may end each
second; models that are gone and back without a warm-up, each second, are a server that contradicts itself."""


async def prepare(context: ServerContext) -> None:
    """Wait for a rate limit, settle an open attempt, then start a check, which may itself start work on the server."""
    await context.wait_for_limit()
    if context.server.open_attempt is not None:
        context.post(events.SubmissionUncertain())
        return
    if context.broken:
        context.post(_unusable_workflows(context.broken))
        return
    if _may_be_loading(context) and await _is_loading(context):
        context.post(events.ForeignLoadDetected(message("still_loading")))
        return
    delay, code = _prepare_delay(context), "wait.check"
    if _waits_for_models_to_stay(context) and (left_s := context.contention_left_s) > delay:
        context.post(events.CheckPostponed())
        delay, code = left_s, "wait.contested_check"
    if delay:
        await context.sleep(message(code), delay)
    context.post(events.CheckStarted())


def _unusable_workflows(broken: Sequence[WorkflowError]) -> events.PreflightFailed:
    """Return the event for a server whose workflow files cannot be read; a missing one is named as such."""
    missing = all(isinstance(error, WorkflowMissingError) for error in broken)
    reason = Reason.WORKFLOW_MISSING if missing else Reason.WORKFLOW_NOT_API_FORMAT
    return events.PreflightFailed(reason, joined([error.message for error in broken]))


def _may_be_loading(context: ServerContext) -> bool:
    """Return whether the server was loading when last asked, or an earlier run of the daemon may have asked it."""
    return context.server.auto_executing or (context.known_before and context.server.last_check is None)


async def _is_loading(context: ServerContext) -> bool:
    """Return whether a prompt in the queue caches our keys; any prompt counts if the server was loading by itself.

    After some looks at a queue that does not answer, is too large or lists only a part of its prompts, the check is
    asked after all, unless the server was loading by itself: it counts as busy then.
    """
    keys = {key for workflow in context.workflows.values() for key in workflow.keys}
    for _ in range(LOADING_LOOKS):
        try:
            async with context.fleet.check_slots.slot(context.pace):
                if context.server.auto_executing:
                    return await context.client.queue_remaining() > 0
                queue = await context.client.queue()
            if not all(item.cache_keys.isdisjoint(keys) for item in queue.items):
                return True
            queue.raise_if_incomplete()
        except RateLimitedError:
            await context.wait_for_limit()
        except (NotAnsweringError, IncompleteQueueError, TooLargeError):
            await asyncio.sleep(_pause_s(context))
        except ComfyError:
            return False
        else:
            return False
    return context.server.auto_executing


def _waits_for_models_to_stay(context: ServerContext) -> bool:
    """Return whether the check would start the loading of models that do not stay. An operator's request is obeyed."""
    return context.server.contention.delays_check and context.server.reason is not Reason.CHECK_REQUESTED


def _prepare_delay(context: ServerContext) -> float:
    """Return the pause before the check: 0, except after repeated useless checks or quick jobs of users."""
    server, timing, clock = context.server, context.fleet.settings.timing, context.fleet.clock
    if server.reason is Reason.CHECK_UNRECOGNISED:
        return backoff(server.failures, timing.retry_s, timing.failed_retry_s, clock.uniform)
    if server.reason is Reason.ANSWERING_AGAIN and server.recheck_failures > 1:
        return backoff(server.recheck_failures - 1, timing.retry_s, timing.failed_retry_s, clock.uniform)
    if server.reason in CHANGES and server.last_check is not None:
        gap_s = min(FOREIGN_GAP_S, max(0.0, server.last_check + FOREIGN_GAP_S - clock.now()))
        return max(gap_s, _change_delay(context))
    return _restart_delay(context) if server.reason is Reason.SERVER_RESTARTED else 0.0


def _change_delay(context: ServerContext) -> float:
    """Return the pause before the check after a change that the server has reported: 0, except after many."""
    most, interval_s = CHANGES[context.server.reason]
    now = loop_time()
    allowed_at = max(now, context.changes_allowed_at)
    context.changes_allowed_at = min(allowed_at + interval_s, now + (most + 1) * interval_s)
    return max(0.0, allowed_at - now - (most - 1) * interval_s)


def _restart_delay(context: ServerContext) -> float:
    """Return the pause before the check after a restart: 0, except after many restarts in a short time."""
    now, restarts = loop_time(), context.restarts
    delay = max(0.0, restarts[0] + RESTARTS_WITHIN_S - now) if len(restarts) == RESTARTS else 0.0
    context.restarts = (*restarts, now + delay)[-RESTARTS:]
    return delay


async def check(context: ServerContext) -> None:
    """Ask until an answer from the present epoch arrives, or the server is unreachable."""
    if context.server.check_ends_it:
        context.post(events.CheckWithheld())
        return
    await after_success.wait_for_history(context)
    if context.server.reason in CHANGES and (delay := _change_delay(context)):
        await context.sleep(message("wait.check"), delay)
    while True:
        event = await ask(context)
        if event is not None:
            event = await after_success.confirmed(context, event, partial(ask, context))
        if event is not None:
            context.post(event)
        await asyncio.sleep(_pause_s(context) if context.server.consecutive_failures else STALE_PAUSE_S)


async def recheck(context: ServerContext) -> None:
    """Ask at the interval; ask again soon if there is no answer."""
    clock = context.fleet.clock
    pause_s = _interval_s(context) * (0.1 + 0.9 * clock.uniform())
    _plan_check(context, pause_s)
    context.fleet.publisher.progress(context.server)
    while True:
        await asyncio.sleep(pause_s)
        event = await ask(context)
        pause_s = (
            _pause_s(context) if context.server.consecutive_failures else spread(_interval_s(context), clock.uniform)
        )
        _plan_check(context, pause_s)
        if event is not None:
            context.post(event)


def _plan_check(context: ServerContext, pause_s: float) -> None:
    """Name the next check, to be published with the figures of the last one. A cold server waits for something else."""
    if context.server.state is State.LOADED:
        context.plan(message("wait.check"), pause_s)


def _interval_s(context: ServerContext) -> float:
    """Return the longer interval only if the companion node reports every change, and each workflow has keys."""
    timing = context.fleet.settings.timing
    complete = context.server.receives_changes and all(workflow.keys for workflow in context.workflows.values())
    return timing.node_check_interval_s if complete else timing.check_interval_s


async def ask(context: ServerContext) -> after_success.CheckEvent | None:
    """Ask the check once, as soon as a rate limit allows it; return the result, None if no answer came."""
    await context.wait_for_limit()
    epoch, started = context.server.epoch, loop_time()
    if context.server.state is State.CHECKING and context.fleet.check_slots.is_full(context.pace):
        context.waits(message("wait.check_slot", limit=context.fleet.settings.limits.max_checks))
    try:
        async with context.fleet.check_slots.slot(context.pace):
            started = loop_time()
            if context.server.gone_at is not None:  # another process may offer another kind
                context.check.forget()
            result = await context.check.ask(epoch)
    except NotAnsweringError:
        context.detail.count("checks_unanswered")
        context.fleet.counters.check_unanswered(context.config.group)
        return None
    took_s = loop_time() - started
    context.detail.count("checks")
    context.fleet.counters.check_answered(context.config.group, took_s)
    seen = context.detail.check
    seen.kind = getattr(result.event, "kind", seen.kind)
    seen.at, seen.ms, seen.raw = context.fleet.clock.now(), round(took_s * 1000, 1), intern_text(result.raw)
    return result.event


async def watch_queue(context: ServerContext) -> None:
    """Wait until a server that loads by itself has an empty queue. The check is not asked meanwhile.

    If the queue does not change for `warm_timeout_s`, the server's worker hangs or has died.
    """
    timeout_s = context.fleet.settings.timing.warm_timeout_s
    seen, moved_at = _queue_mark(context), loop_time()
    while True:
        await _wait_to_look(context)
        if _queue_mark(context) != seen:
            seen, moved_at = _queue_mark(context), loop_time()
        if loop_time() - moved_at > timeout_s:
            context.post(events.PromptStuck(message("own_loading_stuck", seconds=timeout_s)))
            return
        try:
            remaining = await context.client.queue_remaining()
        except AccessDeniedError as error:
            context.post(events.CheckUnusable(Reason.ACCESS_DENIED, message("queue_unreadable", error=error.message)))
        except ComfyError:
            continue
        else:
            context.post(events.QueueSeen(remaining, Source.QUEUE))
            if remaining == 0:
                context.post(events.QueueDrained())


def _queue_mark(context: ServerContext) -> tuple[int | None, int]:
    """Return a value that changes whenever the queue does."""
    return context.server.queue_remaining, context.server.epoch


def auto_pace_s(rounds: int, timing: Timing) -> float:
    """Return the pause for a server that loads by itself, after `rounds` rounds without success."""
    doublings = min(rounds // AUTO_ROUNDS_AT_PACE, MOST_DOUBLINGS)
    return min(timing.auto_recheck_s * 2.0**doublings, max(timing.auto_recheck_s, timing.check_interval_s))


async def _wait_to_look(context: ServerContext) -> None:
    """Wait for the pause, or until a frame says that the queue is empty.

    After some rounds without success frames no longer end the pause: each check would start the server's workflow
    again, and its end the next check.
    """
    server, timing = context.server, context.fleet.settings.timing
    pace = auto_pace_s(server.auto_rounds, timing)
    until, epoch = loop_time() + spread(pace, context.fleet.clock.uniform), server.epoch
    context.waits(message("wait.own_loading"), until - loop_time())
    while (left := until - loop_time()) > 0:
        await context.wait(left)
        is_empty = server.epoch != epoch and server.queue_fell and server.queue_remaining == 0
        if is_empty and server.auto_rounds < AUTO_ROUNDS_AT_PACE:
            return


async def probe(context: ServerContext) -> None:
    """Probe an unreachable server with a growing backoff; after a first answer, soon again."""
    tries, until = 0, loop_time() + context.config.restart.return_timeout_s
    while True:
        if context.server.open_restart is not None and loop_time() >= until:
            seconds = context.config.restart.return_timeout_s
            context.post(events.RestartFailed(Reason.NOT_RETURNED, message("away_after_restart", seconds=seconds)))
            return
        timing, clock = context.fleet.settings.timing, context.fleet.clock
        base = backoff(tries, timing.retry_s, timing.link_backoff_max_s, clock.uniform)
        delay = _pause_s(context) if context.server.answers else base
        context.waits(message("wait.probe"), delay)
        await context.wait(delay)
        tries += 1
        with suppress(ComfyError):
            await context.client.queue_remaining()


async def back_off(context: ServerContext) -> None:
    """Wait for the long backoff of a failure, or for its rest if the server was away or checked meanwhile."""
    server, clock = context.server, context.fleet.clock
    pause_s = spread(context.fleet.settings.timing.failed_retry_s, clock.uniform)
    elapsed_s = loop_time() - context.failed_at if server.streak.reason is server.reason else 0.0
    until = loop_time() + max(0.0, pause_s - elapsed_s)
    context.waits(message("wait.retry"), until - loop_time())
    while (left := until - loop_time()) > 0:
        await context.wait(min(left, _look_after_s(context)))
        if server.client_id is None and loop_time() < until:
            with suppress(ComfyError):
                await context.client.queue_remaining()
    while context.stands_still and server.reason is Reason.RESTART_LIMIT:
        timing = context.fleet.settings.timing
        await context.sleep(message("wait.standstill"), min(timing.check_interval_s, timing.failed_retry_s))
    context.post(events.RetryDue())


def _look_after_s(context: ServerContext) -> float:
    """Return how long to leave a failed server alone. Without /ws only requests notice that it goes away."""
    if context.server.client_id is not None:
        return math.inf
    return _pause_s(context) if context.server.consecutive_failures else context.fleet.settings.timing.check_interval_s


def _pause_s(context: ServerContext) -> float:
    return context.fleet.settings.timing.retry_s * (0.5 + 0.5 * context.fleet.clock.uniform())
