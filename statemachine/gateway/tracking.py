"""Looks open prompts up on their servers, so that none is forgotten when frames do not arrive.

A prompt is lost only if a complete queue, and then the history, did not have it repeatedly: ComfyUI moves a prompt
from pending to running to history under one lock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loguru import logger

from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import PromptRecord, Stage, marker_in
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream
from statemachine.settings import ServerConfig

LEAST_LOOKS = 2

Items = Mapping[str, list[Any]]


@dataclass(frozen=True, slots=True)
class TrackingTimes:
    """Durations in seconds. `gone_s` and `restore_s` say how long a prompt must be absent before it is lost."""

    tick_s: float = 0.5
    calm_s: float = 15.0
    """Interval between looks at a server whose frames arrive."""
    anxious_s: float = 2.0
    """The same without frames, or for a prompt whose POST was not answered."""
    lead_s: float = 1.0
    """How long frames may take that are under way when the history is read."""
    gone_s: float = 5.0
    """On a server whose frames arrive."""
    restore_s: float = 15.0
    """On any other server: a plug-in may restore its queue after a restart."""
    away_s: float = 600.0
    """How long a server may be away before its prompts end with an error."""
    in_doubt_s: float = 45.0
    """How long a client waits while its prompt is looked for."""
    follow_s: float = 1.0
    """Interval between looks at the list of discovered servers."""


USUAL_TIMES = TrackingTimes()


class Tracker:
    """Looks at each server that has open prompts.

    `connected_since` returns when the connection to a server was opened, on the monotonic clock, None without one.
    `reopen` is called for a connection on which frames were missed. Others add servers to `soon` that it looks at next.
    """

    def __init__(
        self,
        ledger: Ledger,
        view: FleetView,
        upstream: Upstream,
        delivery: FrameDelivery,
        connected_since: Callable[[str], float | None],
        reopen: Callable[[str], Awaitable[None]],
        soon: set[str],
        times: TrackingTimes,
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._delivery = delivery
        self._connected_since = connected_since
        self._reopen = reopen
        self._soon = soon
        self._times = times
        self._looked_at: dict[str, float] = {}
        self._away_since: dict[str, float] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(self) -> None:
        """Look at the servers until cancelled. A server that does not answer delays no other."""
        try:
            while True:
                for server in self._ledger.open_servers():
                    task = self._tasks.get(server)
                    if (task is None or task.done()) and self._is_due(server):
                        self._tasks[server] = asyncio.create_task(self._look_safely(server))
                await asyncio.sleep(self._times.tick_s)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def look(self, server: str) -> None:
        """Look once for all open prompts of a server."""
        async with self._locks.setdefault(server, asyncio.Lock()):
            self._looked_at[server] = time.monotonic()
            self._soon.discard(server)
            candidate = self._view.get(server)
            if candidate is None:
                self._lose_all(server, f"the server {server} is no longer in the settings")
                return
            try:
                await self._look_at(candidate.config)
                self._away_since.pop(server, None)
            except (NotSentError, NoAnswerError) as error:
                self._note_away(server, error)

    def forget(self, server: str) -> None:
        """Forget a server that has left without open prompts."""
        for known in (self._looked_at, self._away_since, self._locks, self._tasks):
            known.pop(server, None)

    @property
    def times(self) -> TrackingTimes:
        """The durations."""
        return self._times

    def _is_due(self, server: str) -> bool:
        records = [one for one in self._ledger.open_on(server) if not one.in_flight]
        anxious = not self._is_connected(server) or any(
            one.stage is Stage.POSTING or one.absent_since is not None or one.is_deleted or one.is_adopted
            for one in records
        )
        interval = self._times.anxious_s if anxious else self._times.calm_s
        is_due = server in self._soon or time.monotonic() - self._looked_at.get(server, -self._times.calm_s) >= interval
        return bool(records) and is_due

    async def _look_safely(self, server: str) -> None:
        try:
            await self.look(server)
        except Exception:
            logger.exception("internal error while looking for the prompts of {}", server)

    async def _look_at(self, server: ServerConfig) -> None:
        wanted = [one for one in self._ledger.open_on(server.name) if not one.in_flight]
        ended = list[tuple[PromptRecord, Mapping[str, Any]]]()
        items, complete = await self.listing(server)
        by_marker = {str(marker_in(item[3]).get("prompt")): item for item in items.values() if len(item) > 3}  # noqa: PLR2004
        for record in wanted:
            if record.stage is Stage.ENDED:
                continue
            item = items.get(record.prompt_id) or by_marker.get(record.prompt_id)
            if item is not None:
                self._found(record, item)
            elif (entry := await self._entry(server, record)) is not None:
                ended.append((record, entry))
            elif complete:
                self._absent(record)
        if ended:
            await self._ended(server.name, ended)

    async def listing(self, server: ServerConfig) -> tuple[Items, bool]:
        """Return the prompts in the server's queue, and whether it lists all that it counts.

        Raises NotSentError or NoAnswerError.
        """
        before = _counted(await self._upstream.json(server, "/prompt"))
        listing = await self._upstream.json(server, "/queue")
        items = queue_items(listing)
        if len(items) < before:
            before = min(before, _counted(await self._upstream.json(server, "/prompt")))
        return items, len(items) >= before

    async def _entry(self, server: ServerConfig, record: PromptRecord) -> Mapping[str, Any] | None:
        """Return the prompt's history entry; that of one whose id the server may have chosen is found by its marker."""
        entry: Mapping[str, Any] | None = await self._upstream.history_entry(server, record.prompt_id)
        if entry is not None:
            return entry
        if record.stage is not Stage.POSTING:
            return None
        newest = await self._upstream.json(server, "/history?max_items=20")
        for prompt_id, entry in newest.items() if isinstance(newest, dict) else ():
            match entry:
                case {"prompt": [_, _, _, extra, *_]} if marker_in(extra).get("prompt") == record.prompt_id:
                    self._ledger.rename(record, prompt_id)
                    return entry
        return None

    def _found(self, record: PromptRecord, item: list[Any]) -> None:
        record.absent_since, record.looks, record.alive_at = None, 0, time.monotonic()
        if record.stage is Stage.POSTING and not record.in_flight:
            accept(self._ledger, record, str(item[1]), item[0])

    async def _ended(self, server: str, found: Sequence[tuple[PromptRecord, Mapping[str, Any]]]) -> None:
        """Announce the ends, unless their frames arrive meanwhile. If those that were due do not, the link is deaf."""
        since = self._connected_since(server)
        due = [record for record, _ in found if since is not None and (record.alive_at or 0.0) > since]
        if due:
            await asyncio.sleep(self._times.lead_s)
        if any(record.stage is not Stage.ENDED and not record.is_adopted for record in due):
            logger.info("frames of {} did not arrive; its connection is opened again", server)
            await self._reopen(server)
        for record, entry in found:
            if record.stage is not Stage.ENDED:
                self._delivery.finish_from(record, entry)

    def _is_connected(self, server: str) -> bool:
        return self._connected_since(server) is not None

    def _absent(self, record: PromptRecord) -> None:
        now = time.monotonic()
        record.looks += 1
        if record.is_deleted:
            self._delivery.finish(record)
            return
        if record.absent_since is None:
            record.absent_since = now
        calm = record.stage is Stage.ACCEPTED and self._is_connected(record.server)
        grace_s = self._times.gone_s if calm else self._times.restore_s
        if record.looks >= LEAST_LOOKS and now - record.absent_since >= grace_s:
            logger.warning("{} lost the prompt {}", record.server, record.prompt_id)
            self._lose(record, f"the server {record.server} has lost this prompt; it was not run again")

    def _note_away(self, server: str, error: Exception) -> None:
        since = self._away_since.setdefault(server, time.monotonic())
        for record in self._ledger.open_on(server):
            record.absent_since, record.looks = None, 0
        if time.monotonic() - since >= self._times.away_s:
            self._lose_all(server, f"the server {server} has been away for {self._times.away_s:.0f} s: {error}")

    def _lose_all(self, server: str, why: str) -> None:
        for record in self._ledger.open_on(server):
            if not record.in_flight:
                self._lose(record, why)

    def _lose(self, record: PromptRecord, why: str) -> None:
        """End a prompt with an error. One of another gateway, which may have moved it, is only forgotten."""
        if record.is_adopted:
            self._ledger.forget(record)
        else:
            self._delivery.lose(record, why)


def accept(ledger: Ledger, record: PromptRecord, prompt_id: str, number: object) -> None:
    """Note that the server has accepted the prompt, under an id of its own if it is an older one."""
    record.alive_at = time.monotonic()
    if isinstance(number, int | float):
        record.number = float(number)
    if record.stage is Stage.POSTING:
        record.stage = Stage.ACCEPTED
    if prompt_id != record.prompt_id:
        ledger.rename(record, prompt_id)
    else:
        ledger.put(record)


def queue_items(listing: object) -> Items:
    """Return the prompts of a GET /queue answer by their ids: the running ones, then the others by number.

    Raises NoAnswerError.
    """
    match listing:
        case {"queue_running": list() as running, "queue_pending": list() as pending}:
            valid = [one for part in (running, pending) for one in part if isinstance(one, list) and len(one) > 1]
            return {str(one[1]): one for one in valid}
    raise NoAnswerError("the answer is not a queue")


def _counted(answer: object) -> int:
    match answer:
        case {"exec_info": {"queue_remaining": int() as count}}:
            return count
    raise NoAnswerError("the answer has no queue length")
