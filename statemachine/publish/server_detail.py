"""What is known of one server beside its line: its link, its newest check, what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
