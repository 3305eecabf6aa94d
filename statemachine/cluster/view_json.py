"""A server's view, and the messages in it, in the values of the shared store."""

from collections.abc import Callable
from functools import partial
from typing import Any

from statemachine.cluster.record_parts import pause_from, read_or, read_restart, restart_json
from statemachine.cluster.values import Json, count, flag, instant, levels, maybe, message_from_json, share, text, texts
from statemachine.core.messages import Message
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import message_row, storable


def view_json(view: ServerView | None) -> list[Any] | None:
    """Return the view as a list, which `view_from` reads together with the view's `message_json`."""
    if view is None:
        return None
    levels = None if view.levels is None else {storable(key) or "": level for key, level in view.levels.items()}
    fields: dict[str, Any] = {**view._asdict(), "levels": levels, "waiting_for": _waiting_json(view.waiting_for)}
    fields["pause"] = None if view.pause is None else list(view.pause)
    fields["restart"] = restart_json(view.restart)
    return list({**fields, "message": storable(sentence(view.message)) or ""}.values())


_VIEW: dict[str, Callable[[Any], Any]] = {
    "name": text,
    "url": text,
    "group": text,
    "state": State,
    "since": instant,
    "reason": Reason,
    "auto_executing": flag,
    "missing": texts,
    "prompt_id": partial(maybe, text),
    "progress": partial(maybe, share),
    "queue_remaining": partial(maybe, count),
    "last_check": partial(maybe, instant),
    "next_action_at": partial(maybe, instant),
    "workflows": texts,
    "levels": partial(maybe, levels),
    "waiting_for": lambda said: message_from_json(*said),
    "next_action_at_most": flag,
    "pause": lambda given: maybe(pause_from, given),
    "restart": read_restart,
}
"""How the fields of a view are read. The first six, and the message, have no default."""


def view_from(data: Any, message: Any) -> ServerView | None:
    """Decode a `view_json` and the `message_json` of its message. Raises one of `DECODE_ERRORS`."""
    if data is None:
        return None
    given = dict(zip(ServerView._fields, data, strict=False))
    fields = {name: read(given[name]) for name, read in _VIEW.items() if name in given}
    return ServerView(**fields, message=message_from_json(given["message"], message))


def shown_view_from(data: Any, message: Any) -> ServerView | None:
    """Decode a view to be shown: a restart of a later version is left out. Raises one of `DECODE_ERRORS`."""
    if data is None:
        return None
    place = ServerView._fields.index("restart")
    return view_from([*data[:place], read_or(_readable, data[place], None)] if len(data) > place else data, message)


def _readable(restart: Any) -> Any:
    """Return the restart as it is. Raises one of `DECODE_ERRORS` if it cannot be read."""
    read_restart(restart)
    return restart


def _waiting_json(message: Message) -> list[Any]:
    return [storable(sentence(message)) or "", message_json(message)]


def message_json(message: Message) -> Json | None:
    """Return code and parameters of a message, stored beside the sentence that older versions read."""
    _, code, params = message_row(message)
    return {"code": code, "params": params} if code else None
