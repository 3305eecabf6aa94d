"""Rules, servers and a book of alerts with a clock that a test turns."""

import itertools
from collections.abc import Iterable
from typing import Any

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.evaluator import AlertEvaluator
from statemachine.core.messages import verbatim
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.settings.alerting import AlertRule

EPOCH = 1_750_000_000.0
"""The wall clock at a test's second 0."""

REASONS = {
    State.LOADED: Reason.ALL_CACHED,
    State.COLD: Reason.KEYS_MISSING,
    State.FAILED: Reason.OUT_OF_MEMORY,
    State.UNREACHABLE: Reason.NOT_ANSWERING,
    State.PAUSED: Reason.PAUSE_REQUESTED,
    State.CHECKING: Reason.CHECK_STARTED,
    State.WARMING: Reason.PROMPT_ACCEPTED,
    State.UNKNOWN: Reason.RETRY_DUE,
}
"""An ordinary reason of each state."""


def rule(name: str = "down", **keys: Any) -> AlertRule:
    """A rule that tells channel `ops` at once."""
    return AlertRule.model_validate({"name": name, "for_s": 0, "to": ["ops"], **keys})


def server(host: int = 1, port: int = 8188, **keys: Any) -> ServerView:
    """A loaded server."""
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
    """An id that no other has."""
    return f"id{next(_NUMBERS)}"


class Desk:
    """A book, its clock, and what it has said so far."""

    def __init__(self, *rules: AlertRule, gather_s: float = 0.0) -> None:
        self.now = 0.0
        self.book = AlertEvaluator(new_id)
        self.book.apply(rules, gather_s, 0.0)
        self.said: list[Announcement] = []

    def turn(self, seconds: float, step_s: float = 1.0) -> list[Announcement]:
        """Let time pass, asking what is due as a clock does; what is said meanwhile."""
        until, said = self.now + seconds, self.ask()
        while self.now < until:
            self.now = min(until, self.now + step_s)
            said += self.ask()
        return said

    def ask(self) -> list[Announcement]:
        """What is due now."""
        due = self.book.due(self.now, EPOCH + self.now)
        self.said += due
        return due

    def see(self, state: State, *names: str, reason: Reason | None = None, group: str = "default") -> None:
        """Servers, named HOST:PORT, enter a state."""
        for name in names:
            said = (reason or REASONS[state]).value
            trouble = Alert(name, said, EPOCH + self.now, verbatim(f"{name} {said}"), state, group, f"http://{name}")
            self.book.see(trouble, self.now)

    def notice(self, notice: Notice) -> None:
        """A notice that begins something."""
        self.book.see(Alert(f"#{notice.value}", notice.value, EPOCH + self.now, verbatim(f"{notice.value}!")), self.now)

    def end(self, notice: Notice) -> None:
        """A notice that ends something."""
        self.book.see_end(notice, self.now)


def summary(said: Iterable[Announcement]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Kind, rule and subjects."""
    return [(one.kind.value, one.rule, tuple(trouble.subject for trouble in one.troubles)) for one in said]


def announcement(number: int = 1, kind: Kind = Kind.FIRING, count: int = 1, **keys: Any) -> Announcement:
    """A failed server, told to `ops`."""
    troubles = tuple(
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
        "to": ("ops",),
        "troubles": troubles,
        "still": (),
        "fleet": 50,
        "at": EPOCH + 125,
        **keys,
    }
    return Announcement(**whole)
