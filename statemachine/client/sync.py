"""The fleet of a running daemon, for programs without asyncio."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from statemachine.client.answers import (
    AcceptedAnswer,
    EventAnswer,
    LogAnswer,
    RouteAnswer,
    SourcesAnswer,
    StatusAnswer,
    WantedAnswer,
)
from statemachine.client.api import ANSWER_S, Json, Names
from statemachine.client.fleet import PATIENCE_S, WARM_S, Fleet
from statemachine.settings import Settings

T = TypeVar("T")
CANCEL_S = 1.0
"""How long a coroutine that was cancelled may take to end."""


class LoopThread:
    """An event loop in a thread of its own, so that callers may have a loop as well, as notebooks do."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="comfywarm-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the coroutine and return its result. An interrupt of the caller cancels it."""
        ended = threading.Event()
        future = asyncio.run_coroutine_threadsafe(_noted(work, ended), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            ended.wait(CANCEL_S)
            raise

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncFleet:
    """As `Fleet`, without asyncio. Use it as `with SyncFleet() as fleet`."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        certificate: str | Path | None = None,
        timeout_s: float = ANSWER_S,
    ) -> None:
        self._fleet = Fleet(url, token=token, certificate=certificate, timeout_s=timeout_s)
        self._thread: LoopThread | None = None

    @classmethod
    def from_settings(cls, settings: Settings | str | Path, *, timeout_s: float = ANSWER_S) -> Self:
        """Return the fleet of the daemon of these settings, or of this settings file. Raises SettingsError."""
        fleet = cls()
        fleet._fleet = Fleet.from_settings(settings, timeout_s=timeout_s)
        return fleet

    def __enter__(self) -> Self:
        """Return the fleet; connections are opened by the first request."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.run(self._fleet.close())
            thread.close()

    def status(self) -> StatusAnswer:
        """Return the state of every server."""
        return self._run(self._fleet.status())

    def log(
        self,
        *,
        limit: int = 200,
        before: int | None = None,
        server: Names = (),
        group: Names = (),
        state: Names = (),
        reason: Names = (),
    ) -> LogAnswer:
        """Return the newest matching entries of the event log with an id below `before`, newest first."""
        wanted = self._fleet.log(limit=limit, before=before, server=server, group=group, state=state, reason=reason)
        return self._run(wanted)

    def events(
        self,
        *,
        since: int | None = None,
        server: Names = (),
        group: Names = (),
        state: Names = (),
        reason: Names = (),
        patience_s: float | None = PATIENCE_S,
    ) -> Iterator[EventAnswer]:
        """Yield matching events as `Fleet.events` does."""
        events = self._fleet.events(
            since=since, server=server, group=group, state=state, reason=reason, patience_s=patience_s
        )
        try:
            while True:
                event = self._run(_next_of(events))
                if event is None:
                    return
                yield event
        finally:
            self._run(events.aclose())

    def wait_until_warm(
        self,
        server: str | None = None,
        *,
        group: str | None = None,
        at_least: int | None = None,
        timeout_s: float = WARM_S,
    ) -> None:
        """Return when the servers are loaded, as `Fleet.wait_until_warm` does."""
        self._run(self._fleet.wait_until_warm(server, group=group, at_least=at_least, timeout_s=timeout_s))

    def route(
        self,
        *,
        graph: Json | None = None,
        models: list[str] | None = None,
        workflow: str | None = None,
        group: str | None = None,
    ) -> RouteAnswer:
        """Return the best warm server for a request, as `Fleet.route` does."""
        return self._run(self._fleet.route(graph=graph, models=models, workflow=workflow, group=group))

    def wanted(self, *, group: str | None = None) -> WantedAnswer:
        """Return how many servers the group, or each group, needs."""
        return self._run(self._fleet.wanted(group=group))

    def sources(self) -> SourcesAnswer:
        """Return the sources of servers, and what is wrong with them."""
        return self._run(self._fleet.sources())

    def check(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Have the caches of a server or a group checked now."""
        return self._run(self._fleet.check(server, group=group))

    def warm(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Have a server or a group warmed now."""
        return self._run(self._fleet.warm(server, group=group))

    def pause(
        self,
        server: str | None = None,
        *,
        group: str | None = None,
        duration: str | None = None,
        until: datetime | None = None,
        note: str | None = None,
    ) -> AcceptedAnswer:
        """Pause a server or a group: for a duration such as 45m, 2h or 1d12h, until a time, or until it is resumed."""
        return self._run(self._fleet.pause(server, group=group, duration=duration, until=until, note=note))

    def resume(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Resume a paused server or group."""
        return self._run(self._fleet.resume(server, group=group))

    def restart(self, server: str) -> AcceptedAnswer:
        """Restart a server with its hook: it finishes its prompts, restarts, and is warmed."""
        return self._run(self._fleet.restart(server))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            self._thread = LoopThread()
        return self._thread.run(work)


async def _noted(work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    try:
        return await work
    finally:
        ended.set()


async def _next_of(events: AsyncGenerator[EventAnswer, None]) -> EventAnswer | None:
    return await anext(events, None)
