"""Details of one server: its connection, its latest check and what it reports about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.core.messages import Message


@dataclass(slots=True)
class CheckDetail:
    """The latest check: its kind, its time (epoch seconds), its duration (ms) and the raw response."""

    kind: str | None = None
    at: float | None = None
    ms: float | None = None
    raw: str | None = None


@dataclass(slots=True)
class LinkDetail:
    """The /ws connection: whether it delivers messages, since when (epoch seconds), and the latest error."""

    connected: bool = False
    since: float | None = None
    connects: int = 0
    trouble: Message | None = None


@dataclass(slots=True)
class ServerDetail:
    """Details for /api/detailed_status, which the server's task updates in place.

    `system` holds `version`, `devices` and other values of /system_stats; `counters` start at 0 with the daemon.
    """

    link: LinkDetail = field(default_factory=LinkDetail)
    check: CheckDetail = field(default_factory=CheckDetail)
    system: Mapping[str, Any] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def count(self, counter: str) -> None:
        """Add 1 to a counter."""
        self.counters[counter] = self.counters.get(counter, 0) + 1
