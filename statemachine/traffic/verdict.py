"""What a load balancer is told of a server, in the words of HAProxy's agent-check.

From HAProxy's configuration manual (2.6, server option `agent-check`): words divided by spaces, ended by a line feed.
`drain` is an administrative state, which only `ready` takes back, so a warm server is always `up ready`. What follows
`#` after `down` is shown on HAProxy's statistics page. An agent that says nothing changes nothing.
"""

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State

UNDECIDED = frozenset({State.UNKNOWN, State.CHECKING})

STEP_S = 0.3
"""How long each step of a verdict's renewal may take before the load balancer hears that the server is not loaded."""

RENEWAL_S = 2 * STEP_S
"""The wait for a check, and the check: so long at most may a server that is not loaded go on being held for warm."""


def verdict(view: ServerView | None) -> str:
    """One line without its end; empty where nothing has been found out since the daemon's start.

    Then the load balancer keeps what it had, and a restart of the daemon takes no server out.
    """
    if view is None:
        return "down #unknown server"
    if view.cache_loaded:
        return "up ready"
    if view.state is State.PAUSED:
        return "drain"
    if view.state in UNDECIDED and view.last_check is None:
        return ""
    return f"down #{view.state.value}: {view.reason.value}"


def settles_in(view: ServerView | None, now: float) -> float:
    """Seconds for which an answer is worth waiting for (`now` in epoch seconds); 0 where the verdict stands.

    Each end of a user's job makes the verdict stale until the next check has answered, mostly some milliseconds later.
    A load balancer that asks just then would take a warm server out until it asks again.
    """
    if view is None or not _is_being_renewed(view):
        return 0.0
    return min(STEP_S, max(0.0, view.since + STEP_S - now))


def _is_being_renewed(view: ServerView) -> bool:
    after_work = view.state is State.UNKNOWN and view.reason is Reason.FOREIGN_WORK_FINISHED
    return after_work or view.state is State.CHECKING
