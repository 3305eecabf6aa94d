"""When no trigger may ask for another restart of a server: too soon, too often, or after drains that timed out."""

from statemachine.core.messages import Message, message
from statemachine.core.restart import DAY_S, Restart, RestartCause, recent

TOO_SOON = "restart_too_soon"


def held_back(
    latest: Restart | None, min_pause_s: float, max_per_day: int, cause: RestartCause, why: Message, now: float
) -> Message | None:
    """Return why no restart may be asked for although `why` holds, None if one may. `latest` is the server's last one.

    If it ended without its hook, the pause is longer, and after `max_per_day` of them in a row only a person may ask.
    That does not hold for a stuck server, whose prompts are not waited for.
    """
    if latest is None:
        return None
    waits_for_prompts = cause is not RestartCause.STUCK
    if waits_for_prompts and latest.drains_timed_out >= max_per_day:
        return message("drains_limit", why=why, count=latest.drains_timed_out)
    if (count := len(recent(latest.hooks, now))) >= max_per_day:
        return message("restart_limit", why=why, count=count)
    is_longer = waits_for_prompts and latest.hook_started_at is None
    pause_s = max(min_pause_s, DAY_S / max_per_day) if is_longer else min_pause_s
    if abs(now - (latest.ended_at or latest.requested_at)) < pause_s:
        return message(TOO_SOON, why=why)
    return None


def is_limit(held: Message) -> bool:
    """Return whether a restart is held back by a limit, and not only until the pause is over."""
    return held.code != TOO_SOON
