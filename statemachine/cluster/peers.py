"""What the nodes tell each other of their servers, so that any node answers for the whole fleet.

Entries come by the log that all share, lines by the servers' records; live figures, which change with most frames, are
gathered and told between nodes without any promise. What is told counts only if its teller owns the server.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from loguru import logger
from typing_extensions import override

from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.records import Record, line, view_from
from statemachine.cluster.store import CutOffError, SharedStore
from statemachine.core.sentences import PHRASES, Language
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.view import CheckDetail, LinkDetail, ServerDetail

LIVE = "live"
GATHERED_S = 0.25
AGAIN_S = 1.0
A_MESSAGE = 100
"""Servers in one message, which the engine does not take if it is larger than a megabyte."""


class SharedBus(Bus):
    """Live figures go to the other nodes too, and theirs come here."""

    def __init__(
        self,
        store: SharedStore,
        snapshot: Snapshot,
        ownership: LeasedOwnership,
        session: Callable[[], str],
        language: Language = "en",
    ) -> None:
        super().__init__()
        self._store = store
        self._snapshot = snapshot
        self._ownership = ownership
        self._session = session
        self._unknown = PHRASES[language].meanings[Reason.NODE_CUT_OFF]
        self._changed: dict[str, None] = {}
        self._teller: dict[str, str] = {}
        ownership.on_record = self._hear_record
        self.on_foreign_record: Callable[[Record], None] = lambda _: None

    async def run(self) -> None:
        """Tell what has changed, until cancelled."""
        await self._listen()
        while True:
            await asyncio.sleep(GATHERED_S)
            names = [name for name in self._changed if self._ownership.owns(name)]
            self._changed.clear()
            for start in range(0, len(names), A_MESSAGE):
                self._store.tell(LIVE, self._message(names[start : start + A_MESSAGE]))

    async def _listen(self) -> None:
        while True:
            try:
                return await self._store.hear(LIVE, self._hear)
            except CutOffError as error:
                logger.debug("what other nodes tell cannot be heard yet: {}", error)
                await asyncio.sleep(AGAIN_S)

    @override
    def publish_live(self, server: str, view: Callable[[], ServerView | None]) -> None:
        super().publish_live(server, view)
        self._changed[server] = None

    def accepts(self, session: str, view: ServerView) -> bool:
        """Whether that node may say so of the server, and says nothing older than what we know of it.

        After its wall clock was set back that seems to be so, until the server's record comes, which always counts.
        """
        known = self._snapshot.get(view.name)
        if known is not None and self._teller.get(view.name) == session and view.since < known.since:
            return False
        return self._is_told_by(session, view.name)

    def _is_told_by(self, session: str, server: str) -> bool:
        owner = self._ownership.record(server).session
        if self._snapshot.get(server) is None or self._ownership.owns(server) or owner not in (session, None):
            return False
        self._teller[server] = session
        return True

    def forget_others(self) -> None:
        """We hear nothing of the other nodes: what they look after is not known."""
        self._teller.clear()
        for view in self._snapshot:
            if not self._ownership.owns(view.name):
                self._show(view._replace(state=State.UNKNOWN, reason=Reason.NODE_CUT_OFF, message=self._unknown))

    def recall_others(self) -> None:
        """We hear of the other nodes again: what their servers' records say, until they say more."""
        for view in self._snapshot:
            self._hear_record(view.name, self._ownership.record(view.name))

    def _message(self, names: list[str]) -> bytes:
        told = [(view, self._snapshot.detail(view.name)) for name in names if (view := self._snapshot.get(name))]
        return orjson.dumps([self._session(), [[line(view), detail] for view, detail in told]], default=repr)

    def _hear(self, value: bytes) -> None:
        try:
            session, servers = orjson.loads(value)
            for said, detail in servers:
                view = view_from(said)
                if view is not None and self.accepts(session, view):
                    self._snapshot.attach(view.name, _detail_from(detail))
                    self._show(view)
        except (ValueError, TypeError, KeyError) as error:
            logger.debug("what another node told of its servers is not understood: {}", error)

    def _hear_record(self, name: str, record: Record) -> None:
        if not self._ownership.owns(name):
            self.on_foreign_record(record)
            if record.view is not None and record.session is not None and self._is_told_by(record.session, name):
                self._show(record.view)

    def _show(self, view: ServerView) -> None:
        self._snapshot.put(view)
        super().publish_live(view.name, lambda: view)


def _detail_from(said: dict[str, Any]) -> ServerDetail:
    link, check = LinkDetail(**said["link"]), CheckDetail(**said["check"])
    return ServerDetail(link, check, said["system"], said["counters"])
