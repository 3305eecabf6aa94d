"""Alerts, and the announcements that report them."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from statemachine.core.messages import Message
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Notice, State
from statemachine.settings.alerting import AlertRule

ENDED_STATES = frozenset({State.LOADED, State.PAUSED})
"""States that end an alert. A paused server raises no alerts."""

WANTED_STATES = frozenset({State.DRAINING, State.RESTARTING})
"""States of a restart in progress, which a person or a trigger has asked for. Only a rule that names them matches."""


@dataclass(frozen=True)
class Alert:
    """The state of a server, or a notice. `since` is epoch seconds.

    `subject` is the name of the server. For a notice it starts with `#`, which no server's name contains.
    """

    subject: str
    reason: str
    since: float
    message: Message
    state: State | None = None
    group: str | None = None
    url: str = ""

    @cached_property
    def host(self) -> str:
        """Return the server's host, "" for a notice."""
        return urlsplit(self.url).hostname or ""

    @cached_property
    def label(self) -> str:
        """Return what identifies the server beside its host: its port, or the name in the settings."""
        address = urlsplit(self.url)
        return str(address.port) if address.port and self.subject.endswith(f":{address.port}") else self.subject

    @property
    def cause(self) -> tuple[State | None, str]:
        """Return state and reason. Alerts of one cause are announced together."""
        return (self.state, self.reason)


def alert_of(view: ServerView) -> Alert:
    """Return the present state of a server."""
    return Alert(view.name, view.reason.value, view.since, view.message, view.state, view.group, view.url)


def subject_of(notice: Notice) -> str:
    """Return the subject of a notice."""
    return f"#{notice.value}"


def matches(rule: AlertRule, alert: Alert) -> bool:
    """Return whether the rule applies to the alert."""
    if alert.state is None:
        return alert.reason in rule.notices
    return (
        rule.is_about_servers
        and alert.state not in ENDED_STATES
        and (alert.state.value in rule.states if rule.states else alert.state not in WANTED_STATES)
        and (not rule.reasons or alert.reason in rule.reasons)
        and (not rule.groups or alert.group in rule.groups)
    )


class Kind(StrEnum):
    """The kind of an announcement."""

    FIRING = "firing"
    RECOVERED = "recovered"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Alerts that are reported together. `at` is epoch seconds, `fleet` is the number of servers.

    A firing announcement and its recoveries have the same `incident` and different `id`s. `still_open` are the alerts
    of the incident that have not recovered.
    """

    id: str
    incident: str
    kind: Kind
    rule: str
    channels: tuple[str, ...]
    alerts: tuple[Alert, ...]
    still_open: tuple[Alert, ...]
    fleet: int
    at: float
