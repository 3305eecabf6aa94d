"""Forward operator actions to the node that owns the server."""

from collections.abc import Callable
from typing import Any

import orjson
from typing_extensions import override

from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, instant, maybe, message_from_json, parse, text
from statemachine.cluster.view_json import message_json
from statemachine.core.messages import Message, one_line, verbatim
from statemachine.core.pause import LONGEST_NOTE, NO_TERMS, PauseTerms
from statemachine.core.ports import (
    Action,
    ActionRefusedError,
    NotOwnedError,
    NotStoredError,
    Operator,
    Terms,
    TermsIgnoredError,
)
from statemachine.core.restart import RestartCause, RestartTerms
from statemachine.i18n.render import sentence
from statemachine.settings.values import MAX_NAME_LENGTH

DONE = b"done"
DONE_WITH_TERMS = b"done, with its terms"
"""The response to a request with terms. An older version ignores them and responds `DONE`."""
NOT_UNDERSTOOD = b"not understood"
REFUSED = b"refused "
NOT_STORED = b"not stored "
"""What the response begins with if the owner refuses the action, or could not store it; its message follows."""


class ForwardingOperator(Operator):
    """Pass actions to `local`, the operator of our own servers, or to the node that owns the server."""

    def __init__(
        self, store: SharedStore, ownership: LeasedOwnership, node: str, local: Operator, exists: Callable[[str], bool]
    ) -> None:
        self._store = store
        self._ownership = ownership
        self._node = node
        self._local = local
        self._exists = exists
        self._unreadable = Unreadable("the action")

    async def listen(self) -> None:
        """Start to carry out actions that other nodes forward."""
        await self._store.respond(_subject(self._node), self._on_request)

    @override
    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_TERMS) -> bool:
        if await self._local.act(server, action, by, terms):
            return True
        if not self._exists(server):
            return False
        owner = self._ownership.record(server).node
        if owner is None or owner == self._node:
            raise NotOwnedError(f"no node owns {server} at the moment; try again in a few seconds")
        try:
            response = await self._store.request(_subject(owner), _request(server, action, by, terms))
        except StoreUnavailableError as error:
            raise NotOwnedError(f"node {owner}, which owns {server}, does not respond") from error
        if response == DONE and action is Action.PAUSE and terms != NO_TERMS:
            raise TermsIgnoredError(f"node {owner}, of an older version, has paused {server} without end and note")
        _require_done(response, server, owner)
        return True

    async def _on_request(self, value: bytes) -> bytes:
        """Respond to a forwarded action; another version may send one that is unknown here."""
        try:
            server, action, by, terms = _requested(value)
        except DECODE_ERRORS as error:
            self._unreadable.report("of another node", error)
            return NOT_UNDERSTOOD
        done = DONE if terms == NO_TERMS else DONE_WITH_TERMS
        try:
            return done if await self._local.act(server, action, by, terms) else b"not mine"
        except ActionRefusedError as error:
            return REFUSED + _said(error.message)
        except NotStoredError as error:
            return NOT_STORED + _said(error.message)


def _require_done(response: bytes, server: str, owner: str) -> None:
    """Raise ActionRefusedError, NotStoredError or NotOwnedError unless the owner has carried the action out."""
    if response.startswith(REFUSED):
        raise ActionRefusedError(_refusal(response.removeprefix(REFUSED)))
    if response.startswith(NOT_STORED):
        raise NotStoredError(_refusal(response.removeprefix(NOT_STORED)))
    if response == NOT_UNDERSTOOD:
        raise NotOwnedError(f"node {owner}, which owns {server}, is of a version that does not know this action")
    if response not in {DONE, DONE_WITH_TERMS}:
        raise NotOwnedError(f"node {owner} has just handed {server} over; try again in a few seconds")


def _said(said: Message) -> bytes:
    return orjson.dumps([sentence(said), message_json(said)])


def _refusal(response: bytes) -> Message:
    """Return why the owner refuses the action; what another version says otherwise stays verbatim."""
    try:
        said, coded, *_ = parse(response)
        return message_from_json(said, coded)
    except DECODE_ERRORS:
        return verbatim(one_line(response.decode("utf-8", "replace")))


def _request(server: str, action: Action, by: str | None, terms: Terms) -> bytes:
    """Leave out what is not given, so that a node of an older version understands the request."""
    if terms != NO_TERMS:
        return orjson.dumps([server, action, by, list(terms)])
    return orjson.dumps([server, action] if by is None else [server, action, by])


def _requested(value: bytes) -> tuple[str, Action, str | None, Terms]:
    """Return the server, the action, the client's name and the action's terms. Raises one of `DECODE_ERRORS`."""
    server, action, *more = parse(value)
    by = one_line(more[0])[:MAX_NAME_LENGTH] if more and isinstance(more[0], str) else None
    return text(server), Action(action), by, _terms(Action(action), more[1]) if len(more) > 1 else NO_TERMS


def _terms(action: Action, data: Any) -> Terms:
    if action is Action.RESTART:
        cause, restart_id, *_ = data
        return RestartTerms(RestartCause(cause), text(restart_id))
    until, note, *_ = data
    return PauseTerms(maybe(instant, until), one_line(text(note))[:LONGEST_NOTE])


def _subject(node: str) -> str:
    return f"act.{node.encode().hex()}"
