"""One server as outsiders see it: immutable, so that a reader never sees half a change."""

from typing import NamedTuple

from statemachine.core.messages import Message
from statemachine.core.vocabulary import Reason, State


class LiveFigures(NamedTuple):
    """What of a server's line changes without a transition, with most frames. See ServerView."""

    progress: float | None
    queue_remaining: int | None
    last_check: float | None


class ServerView(NamedTuple):
    """The line of /api/status. Times are epoch seconds; `progress` is 0 to 1 while warming, else None.

    `workflows`, the names of those that warm it, are for choosing a server and no part of the line.
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
    def live(self) -> LiveFigures:
        """Those of its figures that change without a transition."""
        return LiveFigures(self.progress, self.queue_remaining, self.last_check)

    @property
    def cache_loaded(self) -> bool:
        """Whether traffic may be sent there."""
        return self.state is State.LOADED
