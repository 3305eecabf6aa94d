"""Live values of servers are exchanged between the nodes, so that every node shows the whole fleet.

Log entries reach the other nodes through the shared log, and views through the servers' records. Live values change
with most frames; they are collected, sent without confirmation, and accepted only from the node that owns the server.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from typing_extensions import override

from statemachine.cluster.membership import Membership
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.records import Record
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import (
    DECODE_ERRORS,
    Unreadable,
    count,
    encode_json,
    flag,
    instant,
    mapping,
    maybe,
    message_from_json,
    number,
    parse,
    text,
    whole_text,
)
from statemachine.cluster.view_json import message_json, shown_view_from, view_json
from statemachine.core.messages import message
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence, worded
from statemachine.i18n.text import Language
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import CheckDetail, LinkDetail, ServerDetail, Snapshot

LIVE = "live"
SEND_INTERVAL_S = 0.25
MESSAGE_BATCH = 100
"""Servers in one message."""
MESSAGE_BYTES = 500_000
"""Messages above this size are split; NATS accepts at most a megabyte."""


class SharedBus(Bus):
    """A bus that also sends live values to the other nodes and publishes theirs."""

    def __init__(
        self,
        store: SharedStore,
        snapshot: Snapshot,
        ownership: LeasedOwnership,
        membership: Membership,
        language: Language = "en",
    ) -> None:
        super().__init__()
        self._store = store
        self._snapshot = snapshot
        self._ownership = ownership
        self._membership = membership
        self._cut_off = worded(message(f"reason.{Reason.NODE_CUT_OFF.value}"), language)
        self._waiting_for = worded(message("wait.cluster"), language)
        self._changed: dict[str, None] = {}
        self._sender: dict[str, str] = {}
        """Server → session of the node whose view is shown."""
        self._is_subscribed = False
        self._unreadable = Unreadable("the live values")

    async def run(self) -> None:
        """Send changed live values until cancelled."""
        await self._subscribe()
        while True:
            await asyncio.sleep(SEND_INTERVAL_S)
            names = [name for name in self._changed if self._ownership.owns(name)]
            self._changed.clear()
            self._forget_removed()
            for start in range(0, len(names), MESSAGE_BATCH):
                self._send(names[start : start + MESSAGE_BATCH])

    def _forget_removed(self) -> None:
        """Forget the senders of servers that left the fleet."""
        if len(self._sender) > len(self._snapshot):
            self._sender = {name: sender for name, sender in self._sender.items() if self.has_server(name)}

    async def _subscribe(self) -> None:
        """Subscribe once; while cut off, the store subscribes as soon as it can."""
        if not self._is_subscribed:
            self._is_subscribed = True
            with suppress(StoreUnavailableError):
                await self._store.subscribe(LIVE, self._receive)

    def _send(self, names: list[str]) -> None:
        value, half = self._live_message(names), len(names) // 2
        if len(value) > MESSAGE_BYTES and half:
            self._send(names[:half])
            self._send(names[half:])
        else:
            self._store.publish(LIVE, value)

    def _live_message(self, names: list[str]) -> bytes:
        servers = [(view, self._snapshot.detail(view.name)) for name in names if (view := self._snapshot.get(name))]
        return encode_json(
            [self._membership.session, [[view_json(view), _detail_json(view, detail)] for view, detail in servers]]
        )

    @override
    def publish_live(self, server: str, view: Callable[[], ServerView | None]) -> None:
        super().publish_live(server, view)
        self._changed[server] = None

    def accepts(self, session: str, view: ServerView) -> bool:
        """Return whether the session's node owns the server and its view is not older than the one shown.

        After that node's wall clock was set back, newer views look older until the server's record arrives.
        """
        shown = self._snapshot.get(view.name)
        if shown is None or not self._may_report(session, view.name):
            return False
        if self._sender.get(view.name) == session and view.since < shown.since:
            return False
        self._sender[view.name] = session
        return True

    def _may_report(self, session: str, server: str) -> bool:
        return not self._ownership.owns(server) and self._ownership.record(server).session in (session, None)

    def has_server(self, server: str) -> bool:
        """Return whether the fleet has this server."""
        return self._snapshot.get(server) is not None

    def hide_others(self) -> None:
        """Show the servers of other nodes as unknown, because this node is cut off."""
        self._sender.clear()
        for view in self._snapshot:
            if not self._ownership.owns(view.name):
                hidden = view._replace(state=State.UNKNOWN, reason=Reason.NODE_CUT_OFF, message=self._cut_off)
                self._show(hidden._replace(waiting_for=self._waiting_for, next_action_at=None))

    def restore_others(self) -> None:
        """Show the servers of other nodes as in their records, until newer values arrive."""
        for view in self._snapshot:
            self.on_record(view.name, self._ownership.record(view.name))

    def _receive(self, value: bytes) -> None:
        try:
            session, servers = parse(value)
            for one in servers:
                self._receive_one(text(session), one)
        except DECODE_ERRORS as error:
            self._unreadable.report("of a node", error)

    def _receive_one(self, session: str, server: Any) -> None:
        """Use the values of one server; those of the others do not depend on them."""
        try:
            data, detail = server
            view, read = shown_view_from(data, mapping(detail).get("message")), _detail_from(detail)
        except DECODE_ERRORS as error:
            self._unreadable.report("of a server", error)
            return
        if view is not None and self.accepts(session, view):
            self._snapshot.attach(view.name, read)
            self._show(view)

    def on_record(self, name: str, record: Record) -> None:
        """Show the view in the record if it differs. Records arrive in order, even if the owner's clock is set back."""
        if self._ownership.owns(name):
            return
        view, session, shown = record.view, record.session, self._snapshot.get(name)
        if view is None or session is None or shown is None:
            return
        if (self._sender.get(name), shown.state, shown.since) != (session, view.state, view.since):
            self._sender[name] = session
            self._show(view)

    def _show(self, view: ServerView) -> None:
        self._snapshot.put(view)
        super().publish_live(view.name, lambda: view)


def _detail_json(view: ServerView, detail: ServerDetail) -> dict[str, Any]:
    """Return the detail with codes of messages beside the sentences that older versions read."""
    trouble = detail.link.trouble
    return {
        "link": {**asdict(detail.link), "trouble": sentence(trouble) if trouble is not None else None},
        "trouble": message_json(trouble) if trouble is not None else None,
        "check": detail.check,
        "system": detail.system,
        "counters": detail.counters,
        "message": message_json(view.message),
    }


def _detail_from(data: dict[str, Any]) -> ServerDetail:
    """Decode a `_detail_json`, also of a version with more fields."""
    link, check, said = mapping(data["link"]), mapping(data["check"]), data["link"]["trouble"]
    trouble = message_from_json(said, data.get("trouble")) if said is not None else None
    return ServerDetail(
        LinkDetail(flag(link["connected"]), maybe(instant, link["since"]), count(link["connects"]), trouble),
        CheckDetail(
            kind=maybe(text, check["kind"]),
            at=maybe(instant, check["at"]),
            ms=maybe(number, check["ms"]),
            raw=maybe(whole_text, check["raw"]),
        ),
        mapping(data["system"]),
        {name: count(value) for name, value in mapping(data["counters"]).items()},
    )
