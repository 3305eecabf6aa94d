"""The duties that find out how a server stands: check, recheck, watch, probe, and the waits between."""

import asyncio
from contextlib import suppress

from statemachine.comfyui.errors import AccessDeniedError, ComfyError, NotAnsweringError
from statemachine.comfyui.system import kept_once
from statemachine.core import events
from statemachine.core.backoff import backoff, spread
from statemachine.core.vocabulary import Reason, Witness
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import Desk
from statemachine.settings.model import Timing

STALE_PAUSE_S = 0.05
"""Before asking again where evidence of change overtook an answer."""

FOREIGN_GAP_S = 0.25
"""Least time between two checks that foreign work causes. Users' jobs may end many times a second, and a server that
waits for its check is not `loaded`: traffic leaves it meanwhile."""

CHANGED_BY_OTHERS = frozenset({Reason.FOREIGN_WORK_FINISHED, Reason.CACHE_CHANGED})

AUTO_ROUNDS_AT_PACE = 4
"""So many looks at the set pace, then it is doubled: a server whose own loading fails would be asked for ever."""


MOST_DOUBLINGS = 32
"""More than any pace needs; a float can be doubled 1,023 times, which a vain server reaches within days."""


async def examine(desk: Desk) -> None:
    """Leave `unknown`: a doubtful prompt is settled first, for the check itself may start work on the server."""
    if desk.server.open_attempt is not None:
        desk.post(events.DoubtRaised())
        return
    if desk.broken:
        wrong = "; ".join(str(error) for error in desk.broken)
        desk.post(events.WorkflowUnfit(Reason.WORKFLOW_NOT_API_FORMAT, wrong))
        return
    if _may_be_loading(desk) and await _is_loading(desk):
        desk.post(events.LoadingFound("the server is still loading what was missing; it is not asked meanwhile"))
        return
    delay = _examine_delay(desk)
    if delay:
        await desk.sleep(delay)
    desk.post(events.CheckStarted())


def _may_be_loading(desk: Desk) -> bool:
    """It was loading when last asked; or an earlier run of the daemon may have asked it, and died of what came."""
    return desk.server.auto_executing or (desk.known_before and desk.server.last_check is None)


async def _is_loading(desk: Desk) -> bool:
    """Whether the queue holds what will bring our keys, or anything where the server was seen loading by itself."""
    keys = {key for workflow in desk.workflows.values() for key in workflow.keys}
    while True:
        try:
            async with desk.shared.check_slots:
                items = await desk.client.queue()
            return any(desk.server.auto_executing or not item.cache_keys.isdisjoint(keys) for item in items)
        except NotAnsweringError:
            await asyncio.sleep(_pause_s(desk))
        except ComfyError:
            return False


def _examine_delay(desk: Desk) -> float:
    """Nothing, but for servers whose checks come to nothing again and again, and for users' quick jobs."""
    server, timing, world = desk.server, desk.shared.settings.timing, desk.shared.world
    if server.reason is Reason.CHECK_UNRECOGNISED:
        return backoff(server.setbacks, timing.retry_s, timing.failed_retry_s, world.uniform)
    if server.reason is Reason.ANSWERING_AGAIN and server.relapses > 1:
        return backoff(server.relapses - 1, timing.retry_s, timing.failed_retry_s, world.uniform)
    if server.reason in CHANGED_BY_OTHERS and server.last_check is not None:
        return min(FOREIGN_GAP_S, max(0.0, server.last_check + FOREIGN_GAP_S - world.now()))
    return 0.0


async def check(desk: Desk) -> None:
    """Ask until an answer of the present epoch has come, or too many have not."""
    while True:
        await ask(desk)
        await asyncio.sleep(_pause_s(desk) if desk.server.misses else STALE_PAUSE_S)


async def recheck(desk: Desk) -> None:
    """Ask at the interval, the verdict standing; a missing answer is asked for again soon."""
    world = desk.shared.world
    await asyncio.sleep(_interval_s(desk) * (0.1 + 0.9 * world.uniform()))
    while True:
        await ask(desk)
        await asyncio.sleep(_pause_s(desk) if desk.server.misses else spread(_interval_s(desk), world.uniform))


def _interval_s(desk: Desk) -> float:
    """A workflow without keys is judged by history, of which no companion node tells."""
    timing = desk.shared.settings.timing
    told = desk.server.hears_of_changes and all(workflow.keys for workflow in desk.workflows.values())
    return timing.node_check_interval_s if told else timing.check_interval_s


async def ask(desk: Desk) -> None:
    """Ask the check once and report what came."""
    epoch, started = desk.server.epoch, loop_time()
    try:
        async with desk.shared.check_slots:
            started = loop_time()
            result = await desk.check.ask(epoch)
    except NotAnsweringError:
        desk.detail.count("checks_unanswered")
        desk.shared.tally.check_unanswered(desk.config.group)
        return
    took_s = loop_time() - started
    desk.detail.count("checks")
    desk.shared.tally.check_answered(desk.config.group, took_s)
    seen = desk.detail.check
    seen.kind = getattr(result.event, "kind", seen.kind)
    seen.at, seen.ms, seen.raw = desk.shared.world.now(), round(took_s * 1000, 1), kept_once(result.raw)
    desk.post(result.event)


async def watch_queue(desk: Desk) -> None:
    """Wait until a server that loads by itself has nothing left to do. The check is not asked meanwhile.

    The wait is bounded: a queue in which nothing moves for `warm_timeout_s` belongs to a worker that hangs or has died.
    """
    timeout_s = desk.shared.settings.timing.warm_timeout_s
    seen, moved_at = _queue_mark(desk), loop_time()
    while True:
        await _until_worth_looking(desk)
        if _queue_mark(desk) != seen:
            seen, moved_at = _queue_mark(desk), loop_time()
        if loop_time() - moved_at > timeout_s:
            desk.post(
                events.PromptStuck(f"the server loads by itself, and its queue has not moved for {timeout_s:g} s")
            )
            return
        try:
            remaining = await desk.client.queue_remaining()
        except AccessDeniedError as error:
            desk.post(events.CheckUnusable(Reason.ACCESS_DENIED, f"the queue cannot be read: {error}"))
        except ComfyError:
            continue
        else:
            desk.post(events.QueueSeen(remaining, Witness.QUEUE))
            if remaining == 0:
                desk.post(events.QueueDrained())


def _queue_mark(desk: Desk) -> tuple[int | None, int]:
    """Changes whenever the queue does: its length, and the evidence that something in it has ended."""
    return desk.server.queue_remaining, desk.server.epoch


def auto_pace_s(rounds: int, timing: Timing) -> float:
    """How long to leave a server that loads by itself alone, after so many rounds that came to nothing."""
    doublings = min(rounds // AUTO_ROUNDS_AT_PACE, MOST_DOUBLINGS)
    return min(timing.auto_recheck_s * 2.0**doublings, max(timing.auto_recheck_s, timing.check_interval_s))


async def _until_worth_looking(desk: Desk) -> None:
    """For the pace, or until a frame says that the queue has run dry.

    After some fruitless rounds the pace grows, and frames no longer cut it short: each check would start the server's
    workflow again, and its end the next check.
    """
    server, timing = desk.server, desk.shared.settings.timing
    pace = auto_pace_s(server.auto_rounds, timing)
    until, epoch = loop_time() + spread(pace, desk.shared.world.uniform), server.epoch
    desk.announce(desk.shared.world.now() + until - loop_time())
    while (left := until - loop_time()) > 0:
        await desk.rest(left)
        ran_dry = server.epoch != epoch and server.queue_fell and server.queue_remaining == 0
        if ran_dry and server.auto_rounds < AUTO_ROUNDS_AT_PACE:
            return


async def probe(desk: Desk) -> None:
    """Ask an unreachable server whether it answers, ever less often; after a first answer, soon again."""
    timing, world = desk.shared.settings.timing, desk.shared.world
    tries = 0
    while True:
        base = backoff(tries, timing.retry_s, timing.link_backoff_max_s, world.uniform)
        delay = _pause_s(desk) if desk.server.answers else base
        desk.announce(world.now() + delay)
        await desk.rest(delay)
        tries += 1
        with suppress(ComfyError):
            await desk.client.queue_remaining()


async def cool_down(desk: Desk) -> None:
    """Wait for the long backoff of a failure to end."""
    await desk.sleep(spread(desk.shared.settings.timing.failed_retry_s, desk.shared.world.uniform))
    desk.post(events.RetryDue())


def _pause_s(desk: Desk) -> float:
    return desk.shared.settings.timing.retry_s * (0.5 + 0.5 * desk.shared.world.uniform())
