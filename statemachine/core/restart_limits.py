"""When no trigger may ask for another restart of a server: too soon, too often, or in vain."""

from statemachine.core.messages import Message, message
from statemachine.core.restart import DAY_S, Restart, recent

TOO_SOON = "restart_too_soon"


def held_back(latest: Restart | None, min_pause_s: float, max_per_day: int, why: Message, now: float) -> Message | None:
    """Return why no restart may be asked for although `why` holds, None if one may. `latest` is the server's last one.

    If it ended without its hook, the pause is longer, and after `max_per_day` of them in a row only a person may ask.
    An end that is far in the future was noted before the system clock was set back, and causes no pause.
    """
    if latest is None:
        return None
    if latest.drains_timed_out >= max_per_day:
        return message("restart_in_vain", why=why, count=latest.drains_timed_out)
    if (count := len(recent(latest.hooks, now))) >= max_per_day:
        return message("restart_limit", why=why, count=count)
    pause_s = min_pause_s if latest.hook_started_at is not None else max(min_pause_s, DAY_S / max_per_day)
    if abs(now - (latest.ended_at or latest.requested_at)) < pause_s:
        return message(TOO_SOON, why=why)
    return None


def is_limit(held: Message) -> bool:
    """Return whether a restart is held back by a limit, and not only until the pause is over."""
    return held.code != TOO_SOON
