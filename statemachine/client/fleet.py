"""The fleet of a running daemon, for asyncio programs."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar, cast

from statemachine.client.access import Access, access_of_settings, access_to, open_api
from statemachine.client.answers import (
    AcceptedAnswer,
    EventAnswer,
    LogAnswer,
    RouteAnswer,
    SourcesAnswer,
    StatusAnswer,
    WantedAnswer,
)
from statemachine.client.api import ANSWER_S, DaemonApi, Json, Names, as_names, filter_query, group_path, server_path
from statemachine.client.errors import DaemonError, DaemonRefusedError, UnknownNameError, first_unknown
from statemachine.client.following import Absence, follow
from statemachine.client.warm_wait import Goal, wait_until_warm
from statemachine.core.messages import Message, message
from statemachine.settings import Settings, load_client_settings

PATIENCE_S = 60.0
WARM_S = 600.0
T = TypeVar("T")


def _ignore(_note: Message) -> None:
    """Discard a note."""


class Fleet:
    """The fleet of the daemon at `url`, by default that of COMFYWARM_URL or on this machine.

    Use it as `async with Fleet() as fleet`. `token` is needed for actions on a daemon that has tokens; without it, that
    of COMFYWARM_TOKEN is used.
    `certificate` is a PEM file with the daemon's own certificate, for https. `timeout_s` limits each answer.
    Every method raises DaemonError, whose text says what to do.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        certificate: str | Path | None = None,
        timeout_s: float = ANSWER_S,
    ) -> None:
        self._access: Access = access_to(url, token, Path(certificate) if certificate else None, timeout_s)
        self._stack = AsyncExitStack()
        self._open: DaemonApi | None = None

    @classmethod
    def from_settings(cls, settings: Settings | str | Path, *, timeout_s: float = ANSWER_S) -> Self:
        """Return the fleet of the daemon of these settings, or of this settings file. Raises SettingsError."""
        loaded = settings if isinstance(settings, Settings) else load_client_settings(Path(settings), os.environ)
        fleet = cls(timeout_s=timeout_s)
        fleet._access = access_of_settings(loaded, timeout_s)
        return fleet

    async def __aenter__(self) -> Self:
        """Return the fleet; connections are opened by the first request."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.close()

    async def close(self) -> None:
        """Close the connections. The next request opens new ones."""
        self._open = None
        await self._stack.aclose()

    async def status(self) -> StatusAnswer:
        """Return the state of every server."""
        return cast("StatusAnswer", await (await self._api()).get("/api/status"))

    async def log(
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
        older = [] if before is None else [("before", str(before))]
        chosen = [("limit", str(limit)), *older, *filter_query(server, group, state, reason)]
        return cast("LogAnswer", await self._named((await self._api()).get("/api/log", chosen), server, group))

    async def events(
        self,
        *,
        since: int | None = None,
        server: Names = (),
        group: Names = (),
        state: Names = (),
        reason: Names = (),
        patience_s: float | None = PATIENCE_S,
        notify: Callable[[Message], None] = _ignore,
    ) -> AsyncGenerator[EventAnswer, None]:
        """Yield matching events as they happen, indefinitely, over lost connections and restarts of the daemon.

        `since` is the id of the last event that the caller has; events after it come first. Without it, events begin
        now, and a daemon that does not answer at once is an error. One that stops answering is waited for, at most
        `patience_s`; None waits indefinitely. `notify` receives a message when it stops or resumes answering.
        """
        absence = Absence(patience_s, notify, waits_at_start=since is not None)
        query = filter_query(server, group, state, reason)
        try:
            async with aclosing(follow(await self._api(), since, query, absence)) as events:
                async for event in events:
                    yield event
        except UnknownNameError as error:
            raise await self._suggested(error, server, group) from error

    async def wait_until_warm(
        self,
        server: str | None = None,
        *,
        group: str | None = None,
        at_least: int | None = None,
        timeout_s: float = WARM_S,
    ) -> None:
        """Return when the server, or all of the group or the fleet, or `at_least` of them, are loaded.

        Raises NotWarmError after `timeout_s`, with the servers that are not loaded.
        """
        waited = wait_until_warm(await self._api(), Goal(server, group, at_least), timeout_s)
        await self._named(waited, server or (), group or ())

    async def route(
        self,
        *,
        graph: Json | None = None,
        models: list[str] | None = None,
        workflow: str | None = None,
        group: str | None = None,
    ) -> RouteAnswer:
        """Return the best warm server for a request with this graph, these models or this workflow.

        Without any of them, the server with the shortest queue is chosen. Raises NoneWarmError if none is loaded.
        """
        need = _given(graph=graph, models=models, workflow=workflow)
        api = await self._api()
        if need:
            answer = await api.send("/api/route", {**need, **_given(group=group)})
        else:
            answer = await api.get("/api/route", [] if group is None else [("group", group)])
        return cast("RouteAnswer", answer)

    async def wanted(self, *, group: str | None = None) -> WantedAnswer:
        """Return how many servers the group, or each group, needs."""
        query = [] if group is None else [("group", group)]
        answer = (await self._api()).get("/api/wanted", query)
        return cast("WantedAnswer", await self._named(answer, (), group or ()))

    async def sources(self) -> SourcesAnswer:
        """Return the sources of servers, and what is wrong with them. An older daemon may have none."""
        try:
            return cast("SourcesAnswer", await (await self._api()).get("/api/discovery"))
        except DaemonRefusedError as error:
            if error.code != "not_found":
                raise
            return {"sources": []}

    async def check(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Have the caches of a server or a group checked now."""
        return await self._act("check", server, group)

    async def warm(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Have a server or a group warmed now."""
        return await self._act("warm", server, group)

    async def pause(
        self,
        server: str | None = None,
        *,
        group: str | None = None,
        duration: str | None = None,
        until: datetime | None = None,
        note: str | None = None,
    ) -> AcceptedAnswer:
        """Pause a server or a group: for a duration such as 45m, 2h or 1d12h, until a time, or until it is resumed."""
        end = until.astimezone().isoformat() if until is not None else None
        return await self._act("pause", server, group, _given(until=end, note=note, **{"for": duration}))

    async def resume(self, server: str | None = None, *, group: str | None = None) -> AcceptedAnswer:
        """Resume a paused server or group."""
        return await self._act("resume", server, group)

    async def restart(self, server: str) -> AcceptedAnswer:
        """Restart a server with its hook: it finishes its prompts, restarts, and is warmed."""
        return await self._act("restart", server, None)

    async def _act(
        self, action: str, server: str | None, group: str | None, body: Json | None = None
    ) -> AcceptedAnswer:
        if (server is None) == (group is None):
            raise DaemonError(message("client.server_or_group"))
        path = server_path(server) if server is not None else group_path(group or "")
        sent = (await self._api()).act(path, action, body)
        return cast("AcceptedAnswer", await self._named(sent, server or (), group or ()))

    async def _named(self, answer: Awaitable[T], server: Names, group: Names) -> T:
        """Return the answer. An error for a name that the daemon does not know suggests those that may be meant."""
        try:
            return await answer
        except UnknownNameError as error:
            raise await self._suggested(error, server, group) from error

    async def _suggested(self, error: UnknownNameError, server: Names, group: Names) -> DaemonError:
        servers = (await self.status())["servers"]
        names, groups = [one["name"] for one in servers], {one["group"] for one in servers}
        return first_unknown(as_names(server), names, as_names(group), groups) or error

    async def _api(self) -> DaemonApi:
        if self._open is None:
            self._open = await self._stack.enter_async_context(open_api(self._access))
        return self._open


def _given(**values: object) -> Json:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
