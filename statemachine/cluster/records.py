"""The JSON in the shared store: a node's lease, a server's record, an entry of the log."""

from dataclasses import dataclass, field, replace
from typing import Any

from loguru import logger

from statemachine.cluster.record_parts import (
    MESSAGE_COLUMNS,
    read_attempt_row,
    read_or,
    read_pause,
    read_restart,
    read_streak,
    restart_row_from,
)
from statemachine.cluster.store import StoredValue
from statemachine.cluster.unknown_fields import MOST_BYTES, NOTHING_UNKNOWN, UnknownFields, unknown_fields
from statemachine.cluster.values import (
    DECODE_ERRORS,
    Json,
    Unreadable,
    count,
    encode_json,
    flag,
    instant,
    mapping,
    maybe,
    message_from_json,
    node_name,
    parse_object,
    text,
    whole_text,
)
from statemachine.cluster.view_json import message_json, shown_view_from, view_from, view_json
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.pause import NO_PAUSE, Pause
from statemachine.core.repetition import NO_STREAK, Streak
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.port import SavedState
from statemachine.journal.restart_rows import RESTART_COLUMNS
from statemachine.journal.rows import ATTEMPT_COLUMNS, Row, attempt_from, storable

_LEASES, _RECORDS = Unreadable("the lease"), Unreadable("the record")

KEPT_WHOLE = {"view": None, "restart": None}
"""Parts of a record that are also None if they are not understood. They are written as they were until they change."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a node. `beat` rises with each renewal; `pending` counts the free servers that it will acquire.

    Once it is `over`, because its node has left or another node has ended it, its session owns nothing. Nodes of older
    versions have no `pending`, and share servers only among those that list the same ones, which have the same `fleet`.
    """

    node: str
    session: str
    fleet: str = ""
    beat: int = 0
    over: bool = False
    pending: int | None = None
    unknown: UnknownFields = field(default=NOTHING_UNKNOWN, compare=False, repr=False)

    def known_fields(self) -> Json:
        """Return what this version knows, as JSON."""
        known = {"node": self.node, "session": self.session, "fleet": self.fleet, "beat": self.beat, "over": self.over}
        return known if self.pending is None else {**known, "pending": self.pending}

    def encoded(self) -> bytes:
        """Return the JSON that `lease_from` reads."""
        return encode_json(self.unknown.added_to(self.known_fields()))


def read_lease(value: bytes) -> Lease:
    """Decode a lease, also of a later version. Raises one of `DECODE_ERRORS`."""
    data = parse_object(value)
    node, session, fleet = node_name(data["node"]), text(data["session"]), text(data["fleet"])
    pending = read_or(count, data.get("pending"), None)
    lease = Lease(node, session, fleet, count(data["beat"]), flag(data["over"]), pending)
    return replace(lease, unknown=_unknown(value, data, lease.known_fields(), {}))


def lease_from(stored: StoredValue) -> Lease | None:
    """Decode the lease of the node that the key names; None if it cannot be read or is another node's."""
    try:
        lease = read_lease(stored.value)
        if lease.node != stored.key:
            raise ValueError(f"it is a lease of {lease.node}")
    except DECODE_ERRORS as error:
        _LEASES.report(f"of {stored.key}", error)
        return None
    return lease


@dataclass(frozen=True, slots=True)
class Record:
    """What all nodes know about one server: its owner, the latest attempt as a journal row, a pause, its view.

    `session` and `node` are the owner's, or None. Only the owner writes the record, at the revision that it knows, so a
    node that has lost the server cannot write. `pause` is None in a record of an older version, which knows no terms.
    """

    session: str | None = None
    node: str | None = None
    attempt: Row | None = None
    paused: bool = False
    view: ServerView | None = None
    streak: Streak = NO_STREAK
    pause: Pause | None = NO_PAUSE
    restart: Row | None = None
    unknown: UnknownFields = field(default=NOTHING_UNKNOWN, compare=False, repr=False)

    @property
    def saved_state(self) -> SavedState:
        """What the server's next owner resumes."""
        attempt = attempt_from(dict(zip(ATTEMPT_COLUMNS, self.attempt, strict=True))) if self.attempt else None
        return SavedState(
            attempt if attempt is not None and attempt.is_open else None,
            self.paused,
            self.streak,
            self.pause or NO_PAUSE,
            read_restart(self.restart),
        )

    @property
    def has_content(self) -> bool:
        """Return whether anything but its owner is known of the server."""
        return self.owned_by(None, None) != Record()

    @property
    def has_lost_terms(self) -> bool:
        """Return whether the server is paused and an older version wrote its record, without the pause's terms."""
        return self.paused and self.pause is None

    @property
    def servers(self) -> set[str]:
        """The names of the servers that its parts are of: at most one, unless the record is damaged."""
        names = set() if self.attempt is None else {str(self.attempt[ATTEMPT_COLUMNS.index("server")])}
        names |= set() if self.restart is None else {str(self.restart[RESTART_COLUMNS.index("server")])}
        return names if self.view is None else names | {self.view.name}

    def owned_by(self, node: str | None, session: str | None) -> "Record":
        """Return the same record with another owner."""
        return replace(self, node=node, session=session)

    def known_fields(self, server: str | None) -> Json:
        """Return what this version knows, as JSON. It names its server, so that a copy at another key is noticed."""
        return {
            "server": server,
            "session": self.session,
            "node": self.node,
            "attempt": self.attempt and self.attempt[:-MESSAGE_COLUMNS],
            "attempt_message": self.attempt and self.attempt[-MESSAGE_COLUMNS:],
            "paused": self.paused,
            "streak": [self.streak.reason, self.streak.count],
            "pause": None if self.pause is None else list(self.pause),
            "restart": self.restart,
            "view": view_json(self.view),
            "message": message_json(self.view.message) if self.view is not None else None,
        }

    def encoded(self, server: str | None = None) -> bytes:
        """Return the JSON that `record_from` reads."""
        return encode_json(self.unknown.added_to(self.known_fields(server)))


def read_record(value: bytes) -> Record:
    """Decode a record. Raises one of `DECODE_ERRORS`; parts that are not understood are left out."""
    data = parse_object(value)
    record = _known_record(data)
    return replace(record, unknown=_unknown(value, data, record.known_fields(data.get("server")), KEPT_WHOLE))


def _unknown(value: bytes, data: Json, known: Json, nothing: Json) -> UnknownFields:
    """Return the unknown fields of a value. The values of this version have none and are equal byte by byte."""
    own = encode_json(known)
    is_own = own == value or len(value) - len(own) > MOST_BYTES
    return NOTHING_UNKNOWN if is_own else unknown_fields(data, known, nothing)


def _known_record(data: Json) -> Record:
    session, node = maybe(text, data["session"]), maybe(node_name, data["node"])
    record = Record(session, node, read_attempt_row(data), flag(data["paused"]))
    try:
        record = replace(record, view=view_from(data["view"], data.get("message")))
    except DECODE_ERRORS as error:
        logger.debug("the view in a server's record was not understood: {!r}", error)
    return replace(
        record,
        streak=read_streak(data, record.view),
        pause=read_pause(data),
        restart=read_or(restart_row_from, data.get("restart"), None),
    )


def record_from(stored: StoredValue) -> Record | None:
    """Decode the record of the server that the key names; None if it cannot be read or is another server's."""
    try:
        record, server = read_record(stored.value), parse_object(stored.value).get("server")
        names = record.servers if server is None else {*record.servers, whole_text(server)}
        if names - {stored.key}:
            raise ValueError("it is a record of another server")
    except DECODE_ERRORS as error:
        _RECORDS.report(f"of {stored.key}", error)
        return None
    return record


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """An entry of the shared log. `id` is unique; `session` is the sender's; `view` is the server's after the entry."""

    id: str
    session: str
    entry: LogEntry
    view: ServerView | None

    def encoded(self) -> bytes:
        """Return the JSON that `shared_entry_from` reads."""
        return encode_json(
            {
                "id": self.id,
                "session": self.session,
                "entry": _entry_json(self.entry),
                "message": message_json(self.entry.message),
                "view": view_json(self.view),
                "view_message": message_json(self.view.message) if self.view is not None else None,
            }
        )


def shared_entry_from(value: bytes) -> SharedEntry:
    """Decode an entry of the shared log. Raises one of `DECODE_ERRORS`."""
    data = parse_object(value)
    entry = _entry_from(mapping(data["entry"]), data.get("message"))
    view = shown_view_from(data["view"], data.get("view_message"))
    return SharedEntry(text(data["id"]), text(data["session"]), entry, view)


def _entry_json(entry: LogEntry) -> Json:
    text = storable(sentence(entry.message)) or ""
    fields = entry._asdict()
    source = fields.pop("proved_by")
    return {**fields, "witness": source, "message": text, "prompt_id": storable(entry.prompt_id)}


def _entry_from(data: Json, message: Any) -> LogEntry:
    return LogEntry(
        at=instant(data["at"]),
        kind=EntryKind(data["kind"]),
        reason=text(data["reason"]),
        message=message_from_json(data["message"], message),
        server=maybe(text, data["server"]),
        group=maybe(text, data["group"]),
        source=maybe(State, data["source"]),
        dest=maybe(State, data["dest"]),
        proved_by=maybe(Source, data["witness"]),
        prompt_id=maybe(text, data["prompt_id"]),
        seq=data["seq"] if isinstance(data.get("seq"), int) else None,
    )
