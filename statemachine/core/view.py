"""One server as outsiders see it. It is immutable, so that a reader never sees half a change."""

from typing import NamedTuple

from statemachine.core.messages import Message
from statemachine.core.vocabulary import Reason, State


class LiveFigures(NamedTuple):
    """The fields of a ServerView that change without a transition, with most frames."""

    progress: float | None
    queue_remaining: int | None
    last_check: float | None


class ServerView(NamedTuple):
    """The line of /api/status. Times are epoch seconds; `progress` is 0 to 1 while warming, else None.

    `workflows` names the workflows that warm it. They are not part of the line; the router uses them.
    """

    name: str
    url: str
    group: str
    state: State
    since: float
    reason: Reason
    message: Message
    auto_executing: bool = False
    missing: tuple[str, ...] = ()
    prompt_id: str | None = None
    progress: float | None = None
    queue_remaining: int | None = None
    last_check: float | None = None
    next_action_at: float | None = None
    workflows: tuple[str, ...] = ()

    @property
    def cache_loaded(self) -> bool:
        """Whether traffic may be sent to the server."""
        return self.state is State.LOADED
