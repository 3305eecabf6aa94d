"""The JSON in the shared store: a node's lease, a server's record, an entry of the log."""

import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from enum import Enum
from typing import Any

import orjson
from loguru import logger

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message
from statemachine.core.server import ServerView
from statemachine.core.streak import NO_STREAK, Streak, streak_of_failed
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.port import SavedState
from statemachine.journal.rows import (
    ATTEMPT_COLUMNS,
    Row,
    attempt_from,
    message_of,
    message_row,
    storable,
    streak_from,
)

Json = dict[str, Any]

MESSAGE_COLUMNS = 2
"""The last columns of an attempt, which are stored separately because older versions know only the others."""

DECODE_ERRORS = (ValueError, TypeError, KeyError, AttributeError)
"""What decoding raises for data that another version, or a person, has written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The lease of a node. `beat` rises with each renewal; nodes with the same servers have the same `fleet`.

    Once it is `over`, because its node has left or another node has ended it, its session owns nothing.
    """

    node: str
    session: str
    fleet: str = ""
    beat: int = 0
    over: bool = False

    def encoded(self) -> bytes:
        """Return the JSON that `lease_from` reads."""
        return encode_json(
            {"node": self.node, "session": self.session, "fleet": self.fleet, "beat": self.beat, "over": self.over}
        )


def lease_from(value: bytes) -> Lease:
    """Decode a lease, also of a later version. An unreadable one counts as over, so its node starts a new session."""
    try:
        data = orjson.loads(value)
        return Lease(str(data["node"]), str(data["session"]), str(data["fleet"]), int(data["beat"]), bool(data["over"]))
    except DECODE_ERRORS as error:
        logger.warning("the lease of a node was not understood: {!r}", error)
        return Lease("", "", over=True)


@dataclass(frozen=True, slots=True)
class Record:
    """What all nodes know about one server: its owner, the latest attempt as a journal row, a pause, its view.

    `session` and `node` are the owner's, or None. Only the owner writes the record, at the revision that it knows, so a
    node that has lost the server cannot write.
    """

    session: str | None = None
    node: str | None = None
    attempt: Row | None = None
    paused: bool = False
    view: ServerView | None = None
    streak: Streak = NO_STREAK

    @property
    def saved_state(self) -> SavedState:
        """What the server's next owner resumes."""
        attempt = attempt_from(dict(zip(ATTEMPT_COLUMNS, self.attempt, strict=True))) if self.attempt else None
        return SavedState(attempt if attempt is not None and attempt.is_open else None, self.paused, self.streak)

    def owned_by(self, node: str | None, session: str | None) -> "Record":
        """Return the same record with another owner."""
        return replace(self, node=node, session=session)

    def encoded(self) -> bytes:
        """Return the JSON that `record_from` reads."""
        return encode_json(
            {
                "session": self.session,
                "node": self.node,
                "attempt": self.attempt and self.attempt[:-MESSAGE_COLUMNS],
                "attempt_message": self.attempt and self.attempt[-MESSAGE_COLUMNS:],
                "paused": self.paused,
                "streak": [self.streak.reason, self.streak.count],
                "view": view_json(self.view),
                "message": message_json(self.view.message) if self.view is not None else None,
            }
        )


def record_from(value: bytes) -> Record:
    """Decode a record. An unreadable one counts as empty; of a later version's, the view may be left out."""
    try:
        data = orjson.loads(value)
        record = Record(data["session"], data["node"], _attempt_row(data), bool(data["paused"]))
    except DECODE_ERRORS as error:
        logger.warning("the record of a server was not understood: {!r}", error)
        return Record()
    try:
        record = replace(record, view=view_from(data["view"], data.get("message")))
    except DECODE_ERRORS as error:
        logger.debug("the view in a server's record was not understood: {!r}", error)
    return replace(record, streak=_streak(data, record.view))


def _streak(data: Json, view: ServerView | None) -> Streak:
    """Return the failures in a row; older versions store the reason of the last one, or only that in the view."""
    match data:
        case {"streak": [str() | None as reason, int(count)]}:
            return streak_from(reason, count)
        case {"failed_for": str(reason)} if reason in set(Reason):
            return streak_of_failed(Reason(reason))
        case {"failed_for": _}:
            return NO_STREAK
    return streak_of_failed(view.reason) if view is not None and view.state is State.FAILED else NO_STREAK


def _attempt_row(data: Json) -> Row | None:
    """Return the attempt; older versions write no code and parameters of its message."""
    row = data["attempt"]
    return (*row, *(data.get("attempt_message") or (None,) * MESSAGE_COLUMNS)) if row is not None else None


def view_json(view: ServerView | None) -> list[Any] | None:
    """Return the view as a list, which `view_from` reads together with the view's `message_json`."""
    if view is None:
        return None
    fields: dict[str, Any] = view._asdict()
    return list({**fields, "message": storable(sentence(view.message)) or ""}.values())


def view_from(data: list[Any] | None, message: Json | None) -> ServerView | None:
    """Decode a `view_json` and the `message_json` of its message."""
    if data is None:
        return None
    fields = dict(zip(ServerView._fields, data, strict=False))
    view = ServerView(**{**fields, "message": message_from_json(fields["message"], message)})
    return view._replace(
        state=State(view.state),
        reason=Reason(view.reason),
        missing=tuple(view.missing),
        workflows=tuple(view.workflows),
    )


def message_json(message: Message) -> Json | None:
    """Return code and parameters of a message, stored beside the sentence that older versions read."""
    _, code, params = message_row(message)
    return {"code": code, "params": params} if code else None


def message_from_json(text: str, data: Json | None) -> Message:
    """Decode a stored sentence and its `message_json`."""
    data = data or {}
    return message_of({"message": text, "message_code": data.get("code"), "message_params": data.get("params")})


def encode_json(data: Any) -> bytes:
    """Encode data of any server: text that UTF-8 cannot encode gets question marks, huge integers become floats."""
    try:
        return orjson.dumps(data, default=repr)
    except TypeError:
        text = json.dumps(data, ensure_ascii=False, default=_plain)
        return orjson.dumps(json.loads(text.encode("utf-8", "replace"), parse_int=_number), default=repr)


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) < 2**63 else float(digits)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else repr(value)


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
    data = orjson.loads(value)
    entry = _entry_from(data["entry"], data.get("message"))
    return SharedEntry(data["id"], data["session"], entry, view_from(data["view"], data.get("view_message")))


def _entry_json(entry: LogEntry) -> Json:
    text = storable(sentence(entry.message)) or ""
    fields = entry._asdict()
    source = fields.pop("proved_by")
    return {**fields, "witness": source, "message": text, "prompt_id": storable(entry.prompt_id)}


def _entry_from(data: Json, message: Json | None) -> LogEntry:
    for key, word in (("kind", EntryKind), ("source", State), ("dest", State), ("witness", Source)):
        data[key] = word(data[key]) if data[key] is not None else None
    data["proved_by"] = data.pop("witness")
    return LogEntry(**{**data, "message": message_from_json(data["message"], message)})
