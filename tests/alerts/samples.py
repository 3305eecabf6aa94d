"""Rules, servers, announcements, and an alert evaluator with a manual clock."""

import itertools
from collections.abc import Iterable
from typing import Any

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.evaluator import AlertEvaluator
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.settings.alerting import AlertRule

EPOCH = 1_750_000_000.0
"""The wall clock at second 0 of a test."""

REASONS = {
    State.LOADED: Reason.ALL_CACHED,
    State.COLD: Reason.KEYS_MISSING,
    State.FAILED: Reason.OUT_OF_MEMORY,
    State.UNREACHABLE: Reason.NOT_ANSWERING,
    State.PAUSED: Reason.PAUSE_REQUESTED,
    State.CHECKING: Reason.CHECK_STARTED,
    State.WARMING: Reason.PROMPT_ACCEPTED,
    State.UNKNOWN: Reason.RETRY_DUE,
    State.DRAINING: Reason.RESTART_REQUESTED,
    State.RESTARTING: Reason.HOOK_STARTED,
}
"""A typical reason of each state."""


def rule(name: str = "down", **keys: Any) -> AlertRule:
    """Return a rule that sends to channel `ops` at once."""
    return AlertRule.model_validate({"name": name, "for_s": 0, "to": ["ops"], **keys})


def server(host: int = 1, port: int = 8188, **keys: Any) -> ServerView:
    """Return a server, loaded by default."""
    name = f"192.0.2.{host}:{port}"
    state = keys.pop("state", State.LOADED)
    whole = {
        "group": "default",
        "since": EPOCH,
        "reason": REASONS[state],
        "message": verbatim(f"{state.value}!"),
        **keys,
    }
    return ServerView(name=name, url=f"http://{name}", state=state, **whole)


_NUMBERS = itertools.count(1)


def new_id() -> str:
    """Return a unique id."""
    return f"id{next(_NUMBERS)}"


class EvaluatorHarness:
    """An evaluator, its clock, and its announcements so far."""

    def __init__(self, *rules: AlertRule, gather_s: float = 0.0) -> None:
        self.now = 0.0
        self.evaluator = AlertEvaluator(new_id)
        self.evaluator.apply(rules, gather_s, 0.0)
        self.announced: list[Announcement] = []

    def advance(self, seconds: float, step_s: float = 1.0) -> list[Announcement]:
        """Advance the clock in steps; return what is announced meanwhile."""
        until, announced = self.now + seconds, self.due()
        while self.now < until:
            self.now = min(until, self.now + step_s)
            announced += self.due()
        return announced

    def due(self) -> list[Announcement]:
        """Return what is due now."""
        due = self.evaluator.due(self.now, EPOCH + self.now)
        self.announced += due
        return due

    def set_state(self, state: State, *names: str, reason: Reason | None = None, group: str = "default") -> None:
        """Change the state of servers, which are named HOST:PORT."""
        for name in names:
            code = (reason or REASONS[state]).value
            alert = Alert(name, code, EPOCH + self.now, verbatim(f"{name} {code}"), state, group, f"http://{name}")
            self.evaluator.update(alert, self.now)

    def notice(self, notice: Notice) -> None:
        """Start a notice."""
        self.evaluator.update(
            Alert(f"#{notice.value}", notice.value, EPOCH + self.now, verbatim(f"{notice.value}!")), self.now
        )

    def end_notice(self, notice: Notice) -> None:
        """Send a notice that ends another."""
        self.evaluator.end_notice(notice, self.now)


def summary(announced: Iterable[Announcement]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Return kind, rule and subjects."""
    return [(one.kind.value, one.rule, tuple(alert.subject for alert in one.alerts)) for one in announced]


def announcement(number: int = 1, kind: Kind = Kind.FIRING, count: int = 1, **keys: Any) -> Announcement:
    """Return an announcement of `count` failed servers for channel `ops`."""
    alerts = tuple(
        Alert(
            f"192.0.2.{number}:{8188 + place}",
            "out_of_memory",
            EPOCH,
            verbatim("no memory left"),
            State.FAILED,
            "lab",
            f"http://192.0.2.{number}:{8188 + place}",
        )
        for place in range(count)
    )
    whole = {
        "id": f"id{number}",
        "incident": f"incident{number}",
        "kind": kind,
        "rule": "down",
        "channels": ("ops",),
        "alerts": alerts,
        "still_open": (),
        "fleet": 50,
        "at": EPOCH + 125,
        **keys,
    }
    return Announcement(**whole)
