"""Functions with one fault each, which change events, check results, settings and waits (see planted_faults.py)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from statemachine.comfyui.checks import CheckResult
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.backoff import Uniform, backoff
from statemachine.core.levels import Level
from statemachine.core.repetition import NO_CONTENTION, NO_STREAK
from statemachine.core.server import Server
from statemachine.fleet.context import ServerContext
from statemachine.settings import Settings


def trusts_success(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Treat the success of a prompt as a check that found everything cached."""
    if isinstance(event, events.PromptSucceeded):
        return event, events.CheckAnswered("text", (), (), auto_executing=False, epoch=context.server.epoch + 1)
    return (event,)


def without(*kinds: type) -> Callable[[ServerContext, events.Event], Sequence[events.Event]]:
    """Drop events of these kinds."""
    return lambda _, event: () if isinstance(event, kinds) else (event,)


def forgets_failures(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Forget the failures in a row when the server restarts."""
    if isinstance(event, events.LinkOpened) and event.refused_before:
        context.server.streak = NO_STREAK
    return (event,)


def forgets_losses(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Forget that models did not stay loaded."""
    context.server.contention = NO_CONTENTION
    return (event,)


def looks_up_without_permit(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Take a prompt that has to be looked up for stuck, without a report, so that it holds no permit."""
    attempt = context.server.open_attempt
    if isinstance(event, events.SubmissionUncertain) and attempt is not None:
        attempt.stuck = True
    return (event,)


def sees_no_foreign_work(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Hold a missing key against the warm-up, even if foreign work has run since."""
    if isinstance(event, events.CheckAnswered):
        context.server.foreign_work_ended, context.server.queue_remaining = False, None
        return (replace(event, evicted=False),)
    return (event,)


def claims_foreign_success(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Treat the success of a foreign prompt as that of the open attempt."""
    attempt = context.server.open_attempt
    if isinstance(event, events.PromptSucceeded) and attempt is not None:
        return (replace(event, prompt_id=attempt.prompt_id),)
    return (event,)


def counts_talk(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Treat repeated progress of the open attempt as new progress."""
    attempt = context.server.open_attempt
    if isinstance(event, events.PromptProgress) and attempt is not None:
        attempt.last_progress_at = context.fleet.clock.now()
    return (event,)


def ignores_levels(_context: ServerContext, result: CheckResult) -> CheckResult:
    """Treat a server whose keys are cached as loaded, wherever the models are."""
    event = result.event
    if isinstance(event, events.CheckAnswered) and event.below and not event.missing:
        return replace(result, event=replace(event, below=(), needed=()))
    return result


def wants_memory(context: ServerContext, result: CheckResult) -> CheckResult:
    """Warm a server whose models have left memory, although the key is enough."""
    event, workflows = result.event, tuple(context.workflows)
    if isinstance(event, events.CheckAnswered) and event.places and not event.needed:
        below = tuple(key for key, place in event.places.items() if place.is_below(Level.RAM))
        return replace(result, event=replace(event, missing=below, needed=workflows if below else ()))
    return result


def loads_no_models(_server: Server, _workflow: Workflow) -> bool:
    """Set the keys only, also where the models are wanted in memory."""
    return False


def ignores_epoch(context: ServerContext, result: CheckResult) -> CheckResult:
    """Accept results of checks that started before the last change."""
    if isinstance(result.event, events.CheckAnswered):
        return replace(result, event=replace(result.event, epoch=context.server.epoch))
    return result


def unusable_is_cold(context: ServerContext, result: CheckResult) -> CheckResult:
    """Treat an unusable check result as cold."""
    if isinstance(result.event, events.CheckUnusable):
        needed = tuple(context.workflows)
        return replace(result, event=events.CheckAnswered("text", ("?",), needed, False, context.server.epoch))
    return result


def always_cached(context: ServerContext, result: CheckResult) -> CheckResult:
    """Report every server as loaded."""
    return replace(result, event=events.CheckAnswered("text", (), (), False, context.server.epoch))


def no_lost_grace(settings: Settings) -> Settings:
    """Treat an absent prompt as lost immediately."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"lost_grace_s": 0.0})})


def no_busy_wait(settings: Settings) -> Settings:
    """Do not wait for a busy queue to drain."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"busy_wait_s": 0.0})})


# Functions


def no_backoff(tries: int, base_s: float, limit_s: float, uniform: Uniform) -> float:
    """Use the first delay for every try."""
    return backoff(min(tries, 1), base_s, limit_s, uniform)


async def never_found(*_: object, **_options: object) -> None:
    """Report the prompt as absent without a request."""


async def does_not_wait(_context: ServerContext) -> None:
    """Ask the check at once."""
