"""What alerts are about, and what is said of it."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from urllib.parse import urlsplit

from statemachine.core.messages import Message
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Notice, State
from statemachine.settings.alerting import AlertRule

OVER = frozenset({State.LOADED, State.PAUSED})
"""With `loaded` a trouble is over; a paused server is left in peace."""


@dataclass(frozen=True)
class Alert:
    """A server as it stood when something was amiss, or a notice. `since` and all times are epoch seconds.

    `subject` is the server's name. A notice's begins with `#`, which no name may hold.
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
        """The server's host, "" for a notice."""
        return urlsplit(self.url).hostname or ""

    @cached_property
    def label(self) -> str:
        """What names the server beside its host: the port, or the name that the operator gave it."""
        address = urlsplit(self.url)
        return str(address.port) if address.port and self.subject.endswith(f":{address.port}") else self.subject

    @property
    def cause(self) -> tuple[State | None, str]:
        """Troubles of one cause are told together."""
        return (self.state, self.reason)


def trouble_of(view: ServerView) -> Alert:
    """Return the server as it is now."""
    return Alert(view.name, view.reason.value, view.since, view.message, view.state, view.group, view.url)


def subject_of(notice: Notice) -> str:
    """The subject of a notice."""
    return f"#{notice.value}"


def concerns(rule: AlertRule, trouble: Alert) -> bool:
    """Whether the rule is about it."""
    if trouble.state is None:
        return trouble.reason in rule.notices
    return (
        rule.is_about_servers
        and trouble.state not in OVER
        and (not rule.states or trouble.state.value in rule.states)
        and (not rule.reasons or trouble.reason in rule.reasons)
        and (not rule.groups or trouble.group in rule.groups)
    )


class Kind(StrEnum):
    """What an announcement says."""

    FIRING = "firing"
    RECOVERED = "recovered"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Announcement:
    """One thing to say. `incident` is common to a trouble and its recovery; `id` is its own.

    `still` are those of the incident that have not recovered. `fleet` is the number of servers there are.
    """

    id: str
    incident: str
    kind: Kind
    rule: str
    to: tuple[str, ...]
    troubles: tuple[Alert, ...]
    still: tuple[Alert, ...]
    fleet: int
    at: float
