"""Keeps the gateway's servers those that the daemon knows, which stores the ones that it has discovered in a file."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence, Set

from loguru import logger

from statemachine.comfyui.network import TlsContexts
from statemachine.discovery.store import known_version, read_known_servers
from statemachine.journal.private import DataFolderError
from statemachine.settings import ServerConfig, Settings

ASK_AGAIN_S = 5.0
"""Pause before the daemon is asked again about a server that has left the list, but not the daemon."""

OnServers = Callable[[Sequence[ServerConfig], Set[str]], Awaitable[None]]
"""Takes the servers, and the names of those that have left the fleet."""
Listed = Callable[[], Awaitable[Set[str] | None]]


class FleetFollower:
    """Reads the known servers again when their file changes.

    `present` returns the servers of the gateway, `are_open` those with prompts that have not ended: such a server stays
    until they have. `listed` returns the names that the daemon publishes, None while it is away. `use` makes other
    servers those of the gateway.
    """

    def __init__(
        self,
        settings: Settings,
        tls: TlsContexts,
        present: Callable[[], Iterable[ServerConfig]],
        are_open: Callable[[], set[str]],
        listed: Listed,
        use: OnServers,
        pause_s: float,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._present = present
        self._are_open = are_open
        self._listed = listed
        self._use = use
        self._pause_s = pause_s
        self._seen: object = None
        self._known: Sequence[ServerConfig] | None = None
        self._leaving: Set[str] = frozenset()
        self._gone: set[str] = set()
        self._disputed: Set[str] = frozenset()
        self._ask_at = -math.inf
        self._was_noted = False
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
            self._seen, self._ask_at = version, -math.inf
        if self._known is not None:
            await self._follow(self._known)

    async def _follow(self, known: Sequence[ServerConfig]) -> None:
        """Use the known servers, and those that have left with prompts that have not ended."""
        names, present = {one.name for one in known}, list(self._present())
        left = [one for one in present if one.name not in names]
        self._gone &= {one.name for one in left}
        await self._confirm({one.name for one in left} - self._gone)
        are_open = self._are_open() if left else set[str]()
        kept = [one for one in left if one.name not in self._gone or one.name in are_open]
        wanted, before = [*known, *kept], {one.name: one for one in present}
        leaving = {one.name for one in kept} & self._gone
        if leaving == self._leaving and {one.name: one for one in wanted} == before:
            return
        fresh = [one for one in wanted if before.get(one.name) != one]
        await asyncio.to_thread(self._tls.renew, fresh)
        self._leaving = leaving
        await self._use(wanted, leaving)

    async def _confirm(self, names: Set[str]) -> None:
        """Note which of these servers the daemon does not have either.

        It still has them if its settings have changed since the start of the gateway: another source, or `servers`, may
        name them now.
        """
        now = time.monotonic()
        if not names or now < self._ask_at:
            return
        self._ask_at = now + ASK_AGAIN_S
        if (listed := await self._listed()) is None:
            return
        self._gone |= names - listed
        if self._disputed & names & listed and not self._was_noted:
            logger.warning("the settings have changed; restart the gateway, which keeps its present servers")
            self._was_noted = True
        self._disputed = names & listed
