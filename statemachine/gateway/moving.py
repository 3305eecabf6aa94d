"""Takes prompts back that wait on a server which runs none, and sends them to other servers.

The daemon says which server that is, before it restarts it. A prompt that was deleted from a server's queue, and that
is then neither in the queue nor in the history of the same process, has not begun: ComfyUI moves a prompt from pending
to running to history under one lock. A prompt that has begun is never sent again: it may have ended the worker.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from loguru import logger

from statemachine.core.vocabulary import State
from statemachine.gateway.asking import post_to, queue_of
from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.errors import GatewayError
from statemachine.gateway.finder import EXTRA_DATA
from statemachine.gateway.fleet_view import Candidate, FleetView, rank
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.prompt_request import PromptRequest
from statemachine.gateway.records import PromptRecord, Stage, marker_in
from statemachine.gateway.submission import Submission
from statemachine.gateway.tracking import Tracker
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream

AT_A_TIME = 16
"""Prompts that are taken back together, within a few requests."""
GRAPH, OUTPUTS = 2, 4
"""Positions in an item of a queue."""

Item = list[Any]


class Moving:
    """Moves the waiting prompts of this gateway from servers whose worker has died."""

    def __init__(
        self,
        ledger: Ledger,
        view: FleetView,
        upstream: Upstream,
        tracker: Tracker,
        delivery: FrameDelivery,
        submission: Submission,
        connected_since: Callable[[str], float | None],
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._tracker = tracker
        self._delivery = delivery
        self._submission = submission
        self._connected_since = connected_since
        self._servers: dict[str, asyncio.Task[None]] = {}
        self._posts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Move prompts until cancelled. A server that does not answer delays no other."""
        try:
            while True:
                for server in [one for one in self._view if one.is_stuck]:
                    self._look_at(server)
                await asyncio.sleep(self._tracker.times.tick_s)
        finally:
            tasks = [*self._servers.values(), *self._posts]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def forget(self, server: str) -> None:
        """Forget a server that has left."""
        if (task := self._servers.get(server)) is not None and task.done():
            del self._servers[server]

    def _look_at(self, server: Candidate) -> None:
        task = self._servers.get(server.name)
        if (task is None or task.done()) and self._ours(server) and self._has_place(server):
            self._servers[server.name] = asyncio.create_task(self._move_from(server))

    def _ours(self, server: Candidate) -> list[PromptRecord]:
        """Return the accepted prompts of this gateway on a server."""
        records = self._ledger.open_on(server.name)
        return [one for one in records if one.stage is Stage.ACCEPTED and _is_movable(one)]

    def _has_place(self, server: Candidate) -> bool:
        """Return whether its prompts can run elsewhere, or here once it is restarted."""
        return server.state == State.DRAINING.value or any(rank(one) is not None for one in self._view)

    async def _move_from(self, server: Candidate) -> None:
        """Take back what waits on a server, and post it again; then leave the server alone for a while."""
        try:
            while taken := await self._take_back(server):
                for record, item in taken:
                    self._send_again(record, item)
        except (GatewayError, NotSentError, NoAnswerError) as error:
            logger.warning("the prompts on {} cannot be moved now: {}", server.name, error)
        except Exception:
            logger.exception("internal error while prompts of {} were moved", server.name)
        await asyncio.sleep(self._tracker.times.anxious_s)

    def _send_again(self, record: PromptRecord, item: Item) -> None:
        logger.info("{} has not begun on {}, which runs nothing; it is sent again", record.prompt_id, record.server)
        task = asyncio.create_task(self._post_safely(record, item))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _take_back(self, server: Candidate) -> list[tuple[PromptRecord, Item]]:
        """Delete some of our waiting prompts from the queue; return those that have certainly not begun.

        The daemon restarts the server once none of ours waits there, so few are taken at a time. The others are left
        to the tracker, as is everything if another process of the server may have answered.
        """
        since = self._connected_since(server.name)
        _, pending = await queue_of(self._view, self._upstream, server.name)
        items = {str(item[1]): item for item in pending if len(item) > OUTPUTS and _has_our_id(item)}
        ours = [(one, items[one.prompt_id]) for one in self._ours(server) if one.prompt_id in items]
        if not (wanted := ours[:AT_A_TIME]) or since is None:
            return []
        taken: list[tuple[PromptRecord, Item]] = []
        try:
            for record, _ in wanted:
                record.in_flight = True  # the tracker would report it lost
            await self._delete(server, [record.prompt_id for record, _ in wanted])
            gone = await self._not_begun(server, [record for record, _ in wanted])
            if self._connected_since(server.name) == since:
                taken = [one for one in wanted if one[0].prompt_id in gone]
        finally:
            for record, item in wanted:
                record.in_flight = (record, item) in taken
        return taken

    async def _delete(self, server: Candidate, ids: list[str]) -> None:
        """Delete prompts from the queue. A look says whether it has worked, also if no answer came."""
        with suppress(GatewayError):
            await post_to(self._view, self._upstream, server.name, "/queue", {"delete": ids})

    async def _not_begun(self, server: Candidate, records: list[PromptRecord]) -> set[str]:
        """Return which of the prompts are neither in the queue nor in the history. What is not answered is left out."""
        items, complete = await self._tracker.listing(server.config)
        absent = [one.prompt_id for one in records if one.prompt_id not in items] if complete else []
        entries = await asyncio.gather(
            *(self._upstream.history_entry(server.config, prompt_id) for prompt_id in absent), return_exceptions=True
        )
        return {prompt_id for prompt_id, entry in zip(absent, entries, strict=True) if entry is None}

    async def _post_safely(self, record: PromptRecord, item: Item) -> None:
        try:
            await self._post(record, item)
        except Exception:
            logger.exception("internal error while the prompt {} was moved", record.prompt_id)
            record.in_flight = False

    async def _post(self, record: PromptRecord, item: Item) -> None:
        """Post a prompt again until a server may have it, as long as its client wants it."""
        server, times = record.server, self._tracker.times
        self._view.chooser.note_withdrawn(server, record.prompt_id)
        request, until = _request(record, item), time.monotonic() + times.away_s
        while not record.is_deleted:
            if await self._submission.post_again(request, record):
                return
            if time.monotonic() >= until:
                self._delivery.lose(
                    record, f"the server {server} has not run this prompt, and no other has accepted it"
                )
                return
            record.server, record.in_flight = server, True
            self._ledger.put(record)
            await asyncio.sleep(times.anxious_s)
        self._delivery.finish(record)


def _is_movable(record: PromptRecord) -> bool:
    """Return whether nothing else happens to the prompt. Another gateway moves those that it has posted."""
    return not (record.in_flight or record.is_deleted or record.is_adopted)


def _has_our_id(item: Item) -> bool:
    """Return whether the server runs the prompt under the id that the gateway has chosen, as it would elsewhere."""
    return bool(marker_in(item[EXTRA_DATA]).get("prompt") == item[1])


def _request(record: PromptRecord, item: Item) -> PromptRequest:
    """Return the request of a prompt that was in a queue. What ComfyUI does not list there was kept."""
    extra = item[EXTRA_DATA] if isinstance(item[EXTRA_DATA], dict) else {}
    body = {"extra_data": {**extra, **record.credentials}, "partial_execution_targets": item[OUTPUTS]}
    graph = item[GRAPH]
    return PromptRequest(
        record.client, {**body, "prompt": graph}, graph, record.prompt_id, record.client_id, record.digest
    )
