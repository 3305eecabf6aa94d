"""Entries of the event log, which the journal stores, the page shows and `tail` prints."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from statemachine.core.messages import Message, message
from statemachine.core.vocabulary import Notice, Reason, Source, State


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a server's state. `at` is seconds since the epoch."""

    server: str
    at: float
    source: State
    dest: State
    reason: Reason
    proved_by: Source
    prompt_id: str | None
    message: Message


class EntryKind(StrEnum):
    """The kind of an entry. Progress is live only and never becomes an entry."""

    TRANSITION = "transition"
    NOTICE = "notice"


class LogEntry(NamedTuple):
    """`seq` is the journal's number, None until the entry is committed. `at` is epoch seconds.

    A notice has no states, and a server only if it is about one.
    """

    at: float
    kind: EntryKind
    reason: str
    message: Message
    server: str | None = None
    group: str | None = None
    source: State | None = None
    dest: State | None = None
    proved_by: Source | None = None
    prompt_id: str | None = None
    seq: int | None = None

    @property
    def by(self) -> str | None:
        """The name of the client that requested the transition, if it has one. The message holds it."""
        by = self.message.params.get("by") if self.proved_by is Source.OPERATOR else None
        return by if isinstance(by, str) else None

    def numbered(self, seq: int | None) -> "LogEntry":
        """Return the same entry with the journal's number, or without one. `_replace` takes three times as long."""
        return LogEntry(*self[:-1], seq)


def notice_entry(notice: Notice, at: float, worded: Message | None = None) -> LogEntry:
    """Return the log entry of a notice; `worded` is its message with the sentence."""
    return LogEntry(at=at, kind=EntryKind.NOTICE, reason=notice.value, message=worded or notice_message(notice))


def notice_message(notice: Notice, detail: Message | str = "") -> Message:
    """Return the message of a notice; `detail` completes its sentence."""
    meaning = message(f"notice.{notice.value}")
    return message("notice_detail", notice=meaning, detail=detail) if detail else meaning


def entry_of(transition: Transition, group: str, worded: Message) -> LogEntry:
    """Return the log entry of a transition; `worded` is its message with the sentence."""
    return LogEntry(
        at=transition.at,
        kind=EntryKind.TRANSITION,
        reason=transition.reason.value,
        message=worded,
        server=transition.server,
        group=group,
        source=transition.source,
        dest=transition.dest,
        proved_by=transition.proved_by,
        prompt_id=transition.prompt_id,
    )


STATE_NAMES = tuple(state.value for state in State)
REASON_CODES = tuple(sorted({*(reason.value for reason in Reason), *(notice.value for notice in Notice)}))


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A choice of entries. An empty field allows every value; an entry must pass all fields.

    `states` are the destinations of transitions. A notice has no group or state, and usually no server. `words` are in
    lower case; each must be part of the server's or the group's name.
    """

    servers: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    states: frozenset[State] = frozenset()
    reasons: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def passes(self, server: str | None, group: str | None, state: State | None, reason: str | None) -> bool:
        """Return whether an entry with these values passes."""
        names = f"{server or ''} {group or ''}".lower() if self.words else ""
        return (
            (not self.servers or server in self.servers)
            and (not self.groups or group in self.groups)
            and (not self.states or state in self.states)
            and (not self.reasons or reason in self.reasons)
            and all(word in names for word in self.words)
        )


EVERYTHING = LogFilter()
