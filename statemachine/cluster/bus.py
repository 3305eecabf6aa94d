"""What the nodes tell each other of their servers, so that any node answers for the whole fleet.

Entries come by the log that all share, lines by the servers' records; live figures, which change with most frames, are
gathered and told between nodes without any promise. What is told counts only if its teller owns the server.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import orjson
from loguru import logger
from typing_extensions import override

from statemachine.cluster.membership import Membership
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.records import UNREADABLE, Record, line, message_data, message_read, packed, view_from
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.messages import message
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence, worded
from statemachine.i18n.text import Language
from statemachine.publish.bus import Bus
from statemachine.publish.server_detail import CheckDetail, LinkDetail, ServerDetail
from statemachine.publish.snapshot import Snapshot

LIVE = "live"
GATHERED_S = 0.25
MESSAGE_BATCH = 100
"""Servers in one message."""
BYTES = 500_000
"""In one message: the engine takes none that is larger than a megabyte."""


class SharedBus(Bus):
    """Live figures go to the other nodes too, and theirs come here."""

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
        self._unknown = worded(message(f"reason.{Reason.NODE_CUT_OFF.value}"), language)
        self._changed: dict[str, None] = {}
        self._teller: dict[str, str] = {}
        self._hears = False

    async def run(self) -> None:
        """Tell what has changed, until cancelled."""
        await self._begin_to_hear()
        while True:
            await asyncio.sleep(GATHERED_S)
            names = [name for name in self._changed if self._ownership.owns(name)]
            self._changed.clear()
            for start in range(0, len(names), MESSAGE_BATCH):
                self._tell(names[start : start + MESSAGE_BATCH])

    async def _begin_to_hear(self) -> None:
        """Once: also where this is cut off, the store has us heard as soon as it can."""
        if not self._hears:
            self._hears = True
            with suppress(CutOffError):
                await self._store.subscribe(LIVE, self._hear)

    def _tell(self, names: list[str]) -> None:
        message, half = self._message(names), len(names) // 2
        if len(message) > BYTES and half:
            self._tell(names[:half])
            self._tell(names[half:])
        else:
            self._store.publish(LIVE, message)

    @override
    def publish_live(self, server: str, view: Callable[[], ServerView | None]) -> None:
        super().publish_live(server, view)
        self._changed[server] = None

    def accepts(self, session: str, view: ServerView) -> bool:
        """Whether that node may say so of the server, and says nothing older than what we know of it.

        After its wall clock was set back that seems to be so, until the server's record comes, which always counts.
        """
        known = self._snapshot.get(view.name)
        if known is None or not self._may_tell(session, view.name):
            return False
        if self._teller.get(view.name) == session and view.since < known.since:
            return False
        self._teller[view.name] = session
        return True

    def _may_tell(self, session: str, server: str) -> bool:
        return not self._ownership.owns(server) and self._ownership.record(server).session in (session, None)

    def shows(self, server: str) -> bool:
        """Whether the fleet has this server."""
        return self._snapshot.get(server) is not None

    def forget_others(self) -> None:
        """We hear nothing of the other nodes: what they look after is not known."""
        self._teller.clear()
        for view in self._snapshot:
            if not self._ownership.owns(view.name):
                self._show(view._replace(state=State.UNKNOWN, reason=Reason.NODE_CUT_OFF, message=self._unknown))

    def recall_others(self) -> None:
        """We hear of the other nodes again: what their servers' records say, until they say more."""
        for view in self._snapshot:
            self.on_record(view.name, self._ownership.record(view.name))

    def _message(self, names: list[str]) -> bytes:
        told = [(view, self._snapshot.detail(view.name)) for name in names if (view := self._snapshot.get(name))]
        return packed([self._membership.session, [[line(view), _detail_data(view, detail)] for view, detail in told]])

    def _hear(self, value: bytes) -> None:
        try:
            session, servers = orjson.loads(value)
            for said, detail in servers:
                view = view_from(said, detail.get("message"))
                if view is not None and self.accepts(session, view):
                    self._snapshot.attach(view.name, _detail_from(detail))
                    self._show(view)
        except UNREADABLE as error:
            logger.debug("what another node told of its servers is not understood: {}", error)

    def on_record(self, name: str, record: Record) -> None:
        """Records come in order, whatever its owner's clock says. One that tells of no other state has nothing new."""
        if self._ownership.owns(name):
            return
        view, session, known = record.view, record.session, self._snapshot.get(name)
        if view is None or session is None or known is None:
            return
        if (self._teller.get(name), known.state, known.since) != (session, view.state, view.since):
            self._teller[name] = session
            self._show(view)

    def _show(self, view: ServerView) -> None:
        self._snapshot.put(view)
        super().publish_live(view.name, lambda: view)


def _detail_data(view: ServerView, detail: ServerDetail) -> dict[str, Any]:
    """Return the detail with the codes of the messages, beside the sentences that nodes of an older version read."""
    trouble = detail.link.trouble
    return {
        "link": {**asdict(detail.link), "trouble": sentence(trouble) if trouble is not None else None},
        "trouble": message_data(trouble) if trouble is not None else None,
        "check": detail.check,
        "system": detail.system,
        "counters": detail.counters,
        "message": message_data(view.message),
    }


def _detail_from(said: dict[str, Any]) -> ServerDetail:
    text = said["link"]["trouble"]
    trouble = message_read(text, said.get("trouble")) if text is not None else None
    link, check = LinkDetail(**{**said["link"], "trouble": trouble}), CheckDetail(**said["check"])
    return ServerDetail(link, check, said["system"], said["counters"])
