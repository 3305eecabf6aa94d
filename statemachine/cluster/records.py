"""What the shared store keeps, in JSON: a node's lease, a server's record, an entry of the log."""

import json
from dataclasses import asdict, dataclass, is_dataclass, replace
from enum import Enum
from typing import Any

import orjson
from loguru import logger

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.port import SavedState
from statemachine.journal.rows import ATTEMPT_COLUMNS, Row, attempt_from, message_of, message_row, storable

Json = dict[str, Any]

MESSAGE_COLUMNS = 2
"""The last columns of an attempt, which are stored apart: older versions know the others only."""

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)
"""What reading raises where another version, or somebody's hand, has written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A node's sign of life. `beat` rises with each renewal; `fleet` tells whether two nodes have the same servers.

    Once it is `over` (its node has left, or another has ended it) its session owns nothing any more.
    """

    node: str
    session: str
    fleet: str = ""
    beat: int = 0
    over: bool = False

    def encoded(self) -> bytes:
        """As it is kept."""
        return packed(
            {"node": self.node, "session": self.session, "fleet": self.fleet, "beat": self.beat, "over": self.over}
        )


def lease_from(value: bytes) -> Lease:
    """A lease as it was kept, by a later version too. What is no lease is over: its node begins a new session."""
    try:
        said = orjson.loads(value)
        return Lease(str(said["node"]), str(said["session"]), str(said["fleet"]), int(said["beat"]), bool(said["over"]))
    except UNREADABLE as error:
        logger.warning("a node's lease is not understood: {!r}", error)
        return Lease("", "", over=True)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one server by all: who owns it, the newest attempt (as the journal's row), a pause, its line.

    `session` and `node` are its owner's; None: nobody's. The owner writes it, and only with the revision that it knows:
    whoever has lost the server cannot.
    """

    session: str | None = None
    node: str | None = None
    attempt: Row | None = None
    paused: bool = False
    view: ServerView | None = None

    @property
    def past(self) -> SavedState:
        """What its next owner takes up."""
        attempt = attempt_from(dict(zip(ATTEMPT_COLUMNS, self.attempt, strict=True))) if self.attempt else None
        return SavedState(attempt if attempt is not None and attempt.is_open else None, self.paused)

    def owned_by(self, node: str | None, session: str | None) -> "Record":
        """The same record, another owner's."""
        return replace(self, node=node, session=session)

    def encoded(self) -> bytes:
        """As it is kept."""
        return packed(
            {
                "session": self.session,
                "node": self.node,
                "attempt": self.attempt and self.attempt[:-MESSAGE_COLUMNS],
                "attempt_message": self.attempt and self.attempt[-MESSAGE_COLUMNS:],
                "paused": self.paused,
                "view": line(self.view),
                "message": message_data(self.view.message) if self.view is not None else None,
            }
        )


def record_from(value: bytes) -> Record:
    """A record as it was kept. What is no record says nothing; of a later version's, what is understood is taken."""
    try:
        said = orjson.loads(value)
        row = _attempt_row(said)
        record = Record(said["session"], said["node"], row, bool(said["paused"]))
    except UNREADABLE as error:
        logger.warning("a server's record is not understood: {!r}", error)
        return Record()
    try:
        return replace(record, view=view_from(said["view"], said.get("message")))
    except UNREADABLE as error:
        logger.debug("the line of a server's record is not understood: {!r}", error)
        return record


def _attempt_row(said: Json) -> Row | None:
    """Nodes of an older version write no code and parameters of the attempt's message."""
    row = said["attempt"]
    return (*row, *(said.get("attempt_message") or (None,) * MESSAGE_COLUMNS)) if row is not None else None


def line(view: ServerView | None) -> list[Any] | None:
    """Return a server's line as it is stored: `view_from` reads it, together with `message_data`."""
    if view is None:
        return None
    fields: dict[str, Any] = view._asdict()
    return list({**fields, "message": storable(sentence(view.message)) or ""}.values())


def message_data(message: Message) -> Json | None:
    """Return the code and the parameters, beside the sentence that nodes of an older version read."""
    _, code, params = message_row(message)
    return {"code": code, "params": params} if code else None


def message_read(text: str, said: Json | None) -> Message:
    """Return the message of a stored sentence and its `message_data`."""
    said = said or {}
    return message_of({"message": text, "message_code": said.get("code"), "message_params": said.get("params")})


def packed(said: Any) -> bytes:
    """JSON, whatever servers have said: what UTF-8 cannot write becomes a question mark, a vast number a rough one."""
    try:
        return orjson.dumps(said, default=repr)
    except TypeError:
        text = json.dumps(said, ensure_ascii=False, default=_plain)
        return orjson.dumps(json.loads(text.encode("utf-8", "replace"), parse_int=_whole), default=repr)


def _whole(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) < 2**63 else float(digits)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else repr(value)


def _entry(entry: LogEntry) -> Json:
    text = storable(sentence(entry.message)) or ""
    return {**entry._asdict(), "message": text, "prompt_id": storable(entry.prompt_id)}


def view_from(said: list[Any] | None, message: Json | None) -> ServerView | None:
    """Return the server's line that `line` and `message_data` stored."""
    if said is None:
        return None
    stored = dict(zip(ServerView._fields, said, strict=False))
    view = ServerView(**{**stored, "message": message_read(stored["message"], message)})
    return view._replace(
        state=State(view.state),
        reason=Reason(view.reason),
        missing=tuple(view.missing),
        workflows=tuple(view.workflows),
    )


@dataclass(frozen=True, slots=True)
class SharedEntry:
    """An entry on its way to every node. `id` is its own; `session` is that of the node which tells it."""

    id: str
    session: str
    entry: LogEntry
    view: ServerView | None

    def encoded(self) -> bytes:
        """As it is kept."""
        return packed(
            {
                "id": self.id,
                "session": self.session,
                "entry": _entry(self.entry),
                "message": message_data(self.entry.message),
                "view": line(self.view),
                "view_message": message_data(self.view.message) if self.view is not None else None,
            }
        )


def told_from(value: bytes) -> SharedEntry:
    """An entry as it was kept."""
    said = orjson.loads(value)
    entry = _entry_from(said["entry"], said.get("message"))
    return SharedEntry(said["id"], said["session"], entry, view_from(said["view"], said.get("view_message")))


def _entry_from(said: Json, message: Json | None) -> LogEntry:
    for key, word in (("kind", EntryKind), ("source", State), ("dest", State), ("witness", Source)):
        said[key] = word(said[key]) if said[key] is not None else None
    return LogEntry(**{**said, "message": message_read(said["message"], message)})
