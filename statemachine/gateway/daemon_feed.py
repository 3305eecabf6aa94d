"""Follow the daemon: its status once, then its events. While it is away the last knowledge stays."""

import asyncio
from collections.abc import Callable, Mapping, Set
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import Any, Protocol

from loguru import logger

from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.json_text import loads
from statemachine.i18n.render import MessageError

RETRY_S = 2.0
NEWEST = 10**18 - 1
"""An event id above all others: the stream begins with what happens next."""


class Event(Protocol):
    """One event of the daemon's stream."""

    @property
    def data(self) -> str: ...


class DaemonSource(Protocol):
    """The daemon's API. The methods raise MessageError while it is away, or if it refuses."""

    async def get(self, path: str) -> dict[str, Any]: ...

    async def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]: ...

    def blocks(self, since: int | None) -> Any: ...


OpenSource = Callable[[], AbstractAsyncContextManager[DaemonSource]]


class DaemonFeed:
    """Keeps the view of the fleet as the daemon publishes it."""

    def __init__(self, open_source: OpenSource, view: FleetView) -> None:
        self._open_source = open_source
        self._view = view
        self._is_away = False

    async def run(self) -> None:
        """Follow the daemon until cancelled."""
        while True:
            try:
                async with self._open_source() as source:
                    await self._follow(source)
            except MessageError as error:
                self._note_away(str(error))
            await asyncio.sleep(RETRY_S)

    async def read(self) -> Set[str] | None:
        """Read the status now, as for servers that are new; return their names, None while the daemon is away."""
        with suppress(MessageError):
            async with self._open_source() as source:
                return await self._read_status(source)
        return None

    async def _follow(self, source: DaemonSource) -> None:
        """Read the status once the stream has begun, so that no change between the two is missed."""
        has_begun = False
        async with aclosing(source.blocks(NEWEST)) as events:
            async for event in events:
                if not has_begun:
                    await self._read_status(source)
                has_begun = True
                self._note(event)

    async def _read_status(self, source: DaemonSource) -> Set[str]:
        status = await source.get("/api/status")
        servers = [one for one in status.get("servers", ()) if isinstance(one, dict)]
        self._view.note_status(servers)
        if self._is_away:
            logger.info("the daemon is back")
        self._is_away = False
        return {str(one.get("name")) for one in servers}

    def _note(self, event: Event) -> None:
        """Note a transition, or the server's live figures.

        A transition has the server as `view`, but not if it was recorded just before the stream began.
        """
        try:
            data = loads(event.data.encode()) if event.data else None
        except ValueError:
            return
        if isinstance(data, Mapping):
            server = data.get("view", data)
            if isinstance(server, dict) and "state" in server:
                self._view.note_status([server])
            elif "to" in data:
                self._view.note_status([{"name": data.get("server"), "state": data["to"]}])

    def _note_away(self, error: str) -> None:
        if not self._is_away:
            logger.warning("{}; prompts go on with the last knowledge of the fleet", error)
        self._is_away = True
