"""One server as outsiders see it: immutable, so that a reader never sees half a change."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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
    message: str
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


@dataclass(slots=True)
class CheckDetail:
    """The newest check: its kind, when (epoch seconds), how long it took (ms), and the raw text of the answer."""

    kind: str | None = None
    at: float | None = None
    ms: float | None = None
    raw: str | None = None


@dataclass(slots=True)
class LinkDetail:
    """The /ws connection: whether it delivers, since when (epoch seconds), and the newest trouble."""

    connected: bool = False
    since: float | None = None
    connects: int = 0
    trouble: str | None = None


@dataclass(slots=True)
class ServerDetail:
    """What /api/detailed_status adds from memory; the runner of the server writes it in place.

    `system` holds `version`, `devices` and whatever else /system_stats said; `counters` are since the daemon's start.
    """

    link: LinkDetail = field(default_factory=LinkDetail)
    check: CheckDetail = field(default_factory=CheckDetail)
    system: Mapping[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, what: str) -> None:
        """Add one to a counter."""
        self.counters[what] = self.counters.get(what, 0) + 1
