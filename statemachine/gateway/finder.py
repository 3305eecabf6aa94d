"""Where a client's prompt is, also one that was sent through another gateway.

A prompt that this gateway does not know is looked for on all servers by the marker in its extra_data, and then kept
in the ledger like an own one.
"""

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from statemachine.gateway.delivery import keep_entry
from statemachine.gateway.fleet_view import Candidate, FleetView
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import PromptRecord, Stage, marker_in
from statemachine.gateway.tracking import queue_items
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream, is_name

AT_A_TIME = 16
ASK_S = 1.0
PATIENT_S = 10.0
"""The same before a POST: a server that is busy may have the prompt."""
PAUSE_S = 0.2
ASKED_AGAIN_S = 2.0
ADOPTED_AGAIN_S = 5.0
MAX_UNKNOWN = 10_000
MAX_ID = 200
EXTRA_DATA = 3


Question = Callable[[], Awaitable[PromptRecord | None]]


class Finder:
    """Finds prompts by their ids."""

    def __init__(self, ledger: Ledger, view: FleetView, upstream: Upstream) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_A_TIME))
        """Of each client: one that asks for many ids delays no other."""
        self._unknown: dict[tuple[str, str], float] = {}
        """When a prompt was not found."""
        self._adopted_at: dict[str, float] = {}
        self._silent: set[str] = set()
        """Servers that did not answer in time last; the next POST waits less for them."""

    async def find(self, client: str, prompt_id: str) -> PromptRecord | None:
        """Return a prompt of the client, None if there is none with this id."""
        record = self._ledger.get(prompt_id)
        if record is not None:
            return record if record.client == client else None
        key = (client, prompt_id)
        if len(prompt_id) > MAX_ID or not is_name(prompt_id):
            return None
        if time.monotonic() - self._unknown.get(key, -math.inf) < ASKED_AGAIN_S:
            return None
        found = await self._search(client, prompt_id, self._ask)
        if found is None:
            self._note_unknown(key)
        return found

    async def search(self, client: str, prompt_id: str) -> PromptRecord | None:
        """Look for a prompt of the client on all servers, before it is posted: wait for servers that are busy."""
        return await self._search(client, prompt_id, self._ask_patiently)

    async def adopt(self, client: str) -> None:
        """Find the prompts of a client that wait or run on any server, unless that was done just now."""
        if time.monotonic() - self._adopted_at.get(client, -math.inf) < ADOPTED_AGAIN_S:
            return
        self._adopted_at[client] = time.monotonic()
        await self._on_servers(client, lambda server: self._ask(server, lambda: self._in_queue(server, client)))

    async def _search(self, client: str, prompt_id: str, ask: Any) -> PromptRecord | None:
        found = await self._on_servers(
            client, lambda server: ask(server, lambda: self._on_server(server, client, prompt_id))
        )
        return next((record for record in found if record is not None), None)

    async def _on_servers(self, client: str, ask: Any) -> list[PromptRecord | None]:
        """Ask every server, also those that the daemon does not reach: they may have the prompt."""

        async def one(server: Candidate) -> PromptRecord | None:
            async with self._places[client]:
                found: PromptRecord | None = await ask(server)
                return found

        return await asyncio.gather(*(one(server) for server in self._view))

    async def _ask(self, _server: Candidate, question: Question) -> PromptRecord | None:
        """Ask once. A server that does not answer in time is left out."""
        try:
            async with asyncio.timeout(ASK_S):
                return await question()
        except (NotSentError, NoAnswerError, TimeoutError):
            return None

    async def _ask_patiently(self, server: Candidate, question: Question) -> PromptRecord | None:
        """Ask until the server answers. One that was silent for long is waited for no longer than others."""
        try:
            async with asyncio.timeout(ASK_S if server.name in self._silent else PATIENT_S):
                found = await _answered(question)
        except TimeoutError:
            self._silent.add(server.name)
            return None
        self._silent.discard(server.name)
        return found

    def forget(self, server: str) -> None:
        """Forget a server that has left."""
        self._silent.discard(server)

    async def _on_server(self, server: Candidate, client: str, prompt_id: str) -> PromptRecord | None:
        """Look in the queue first: a prompt that ends meanwhile is then in the history."""
        found = await self._in_queue(server, client, prompt_id)
        return found or await self._in_history(server, client, prompt_id)

    async def _in_history(self, server: Candidate, client: str, prompt_id: str) -> PromptRecord | None:
        entry = await self._upstream.history_entry(server.config, prompt_id)
        if entry is None or not isinstance(item := entry.get("prompt"), list):
            return None
        record = self._adopted(server, item, client, Stage.ENDED)
        if record is not None:
            keep_entry(record, entry)
            self._ledger.put(record)
        return record

    async def _in_queue(self, server: Candidate, client: str, prompt_id: str | None = None) -> PromptRecord | None:
        """Adopt the prompts of the client in a server's queue; return the one with this id."""
        items = queue_items(await self._upstream.json(server.config, "/queue"))
        for item in items.values():
            self._adopted(server, item, client, Stage.ACCEPTED)
        record = self._ledger.get(prompt_id) if prompt_id else None
        return record if record is not None and record.client == client else None

    def _adopted(self, server: Candidate, item: list[Any], client: str, stage: Stage) -> PromptRecord | None:
        """Return the prompt of a queue item, noted in the ledger, None if it is another client's."""
        marker = marker_in(item[EXTRA_DATA]) if len(item) > EXTRA_DATA else {}
        prompt_id = str(item[1]) if len(item) > 1 else ""
        if marker.get("client") != client or not prompt_id:
            return None
        known = self._ledger.get(prompt_id) or self._ledger.get(str(marker.get("prompt")))
        if known is not None:
            return known if known.client == client else None
        record = _record(server.name, item, marker, stage)
        self._ledger.put(record)
        return record

    def _note_unknown(self, key: tuple[str, str]) -> None:
        if len(self._unknown) >= MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[key] = time.monotonic()


async def _answered(question: Question) -> PromptRecord | None:
    """Ask until there is an answer, or no server at the address."""
    while True:
        try:
            return await question()
        except NotSentError:
            return None
        except NoAnswerError:
            await asyncio.sleep(PAUSE_S)


def _record(server: str, item: list[Any], marker: Mapping[str, Any], stage: Stage) -> PromptRecord:
    client_id = marker.get("client_id")
    number = float(item[0]) if isinstance(item[0], int | float) else 0.0
    return PromptRecord(
        str(item[1]),
        str(marker["client"]),
        None if client_id is None else str(client_id),
        server,
        "",
        time.time(),
        stage=stage,
        number=number,
    )
