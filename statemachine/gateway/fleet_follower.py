"""Keeps the gateway's servers those that the daemon knows, which stores the ones that it has discovered in a file."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set

from loguru import logger

from statemachine.comfyui.network import TlsContexts
from statemachine.discovery.known import read_known_servers
from statemachine.discovery.store import known_version
from statemachine.journal.private import DataFolderError
from statemachine.settings import ServerConfig, Settings

LOOK_S = 1.0

OnServers = Callable[[Sequence[ServerConfig], Set[str]], Awaitable[None]]
"""Takes the servers, and the names of those that have left the fleet."""


class FleetFollower:
    """Reads the known servers again when their file changes.

    `present` returns the servers of the gateway, `are_open` those with prompts that have not ended: such a server stays
    until they have. `use` makes other servers those of the gateway.
    """

    def __init__(
        self,
        settings: Settings,
        tls: TlsContexts,
        present: Callable[[], Iterable[ServerConfig]],
        are_open: Callable[[], set[str]],
        use: OnServers,
        pause_s: float = LOOK_S,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._present = present
        self._are_open = are_open
        self._use = use
        self._pause_s = pause_s
        self._seen: object = None
        self._known: Sequence[ServerConfig] | None = None
        self._leaving: set[str] = set()
        self._is_failing = False

    async def run(self) -> None:
        """Look for changes until cancelled."""
        while self._settings.discovery:
            try:
                await self._look()
                self._is_failing = False
            except (OSError, ValueError, DataFolderError) as error:
                if not self._is_failing:
                    logger.warning("cannot read the discovered servers, so the present ones stay: {}", error)
                self._is_failing = True
            await asyncio.sleep(self._pause_s)

    async def _look(self) -> None:
        version = await asyncio.to_thread(known_version, self._settings.data_dir)
        if version is not None and version != self._seen:
            self._known = await asyncio.to_thread(read_known_servers, self._settings)
            self._seen = version
        if self._known is not None:
            await self._follow(self._known)

    async def _follow(self, known: Sequence[ServerConfig]) -> None:
        """Use the known servers, and those that have left with prompts that have not ended."""
        names, present = {one.name for one in known}, list(self._present())
        left = [one for one in present if one.name not in names]
        are_open = self._are_open() if left else set[str]()
        kept = [one for one in left if one.name in are_open]
        wanted, before = [*known, *kept], {one.name: one for one in present}
        leaving = {one.name for one in kept}
        if leaving == self._leaving and {one.name: one for one in wanted} == before:
            return
        fresh = [one for one in wanted if before.get(one.name) != one]
        await asyncio.to_thread(self._tls.renew, fresh)
        self._leaving = leaving
        await self._use(wanted, leaving)
