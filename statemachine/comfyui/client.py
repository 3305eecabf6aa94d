"""The client for one ComfyUI server's HTTP routes, whose answers docs/comfyui.md describes."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import orjson

from statemachine.comfyui.errors import (
    AbsentError,
    AccessDeniedError,
    ComfyError,
    NotUnderstoodError,
)
from statemachine.comfyui.frames import queue_length
from statemachine.comfyui.jobs import JobRoute
from statemachine.comfyui.records import (
    MARKER,
    HistoryEntry,
    Marker,
    QueueListing,
    UnreadableEntry,
    end_of,
    history_entries,
    queue_listing,
)
from statemachine.comfyui.server_json import shown
from statemachine.comfyui.submit_replies import SubmitResult, parse_submit_reply
from statemachine.comfyui.system import describe_system
from statemachine.comfyui.transport import OK, Reply, Transport
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source

RECENT_PROMPTS = (20,)
EARLIER_PROMPTS = (20, 80, 320)
"""How many of the newest history entries `find_prompt` searches for the marker; `EARLIER_PROMPTS` before a prompt is
given up, because others may have run since. The graphs make entries large, so the whole history is never read."""


class ComfyClient:
    """The requests to one server. Every method raises ComfyError if no usable answer comes."""

    __slots__ = ("_jobs", "_transport")

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._jobs = JobRoute(self.get)

    def forget_offers(self) -> None:
        """Forget which routes the server lacks, because another version may run at its address now."""
        self._jobs.forget()

    async def get(self, path: str, accept: str | None = None) -> Reply:
        """Send a GET and return ComfyUI's reply with any status."""
        return (await self._transport.request("GET", path, accept=accept)).raise_for_gateway("GET", path)

    async def expect_comfyui(self) -> None:
        """Ask GET /prompt after a 404 of another route, which a tunnel without a server answers on every route.

        Raises NotAnsweringError if ComfyUI is not there, or RateLimitedError.
        """
        with suppress(AccessDeniedError, NotUnderstoodError):
            await self.queue_remaining()

    async def queue(self) -> QueueListing:
        """Return the running and pending prompts, and how many the server counts.

        The server counts them before and, if the list is shorter, after the list is read: prompts start and end
        meanwhile, so the list must account for the smaller count.
        """
        before = await self.queue_remaining()
        listing = queue_listing(await self._object("/queue"), before)
        return listing if listing.complete else replace(listing, counted=min(before, await self.queue_remaining()))

    async def queue_remaining(self) -> int:
        """Return the number of running and pending prompts. This is ComfyUI's cheapest route."""
        answer = await self._object("/prompt")
        try:
            return queue_length(answer["exec_info"]["queue_remaining"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotUnderstoodError(message("not_comfyui"), OK, shown(answer)) from error

    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        """Return the entry of a prompt, None while it is unknown, pending or running (transcript 01)."""
        entries = history_entries(await self._object(f"/history/{quote(prompt_id, safe='')}"))
        entry = next((entry for entry in entries if entry.prompt_id == prompt_id), None)
        if isinstance(entry, UnreadableEntry):
            raise entry.error()
        return entry

    async def newest_history(self, count: int) -> tuple[HistoryEntry | UnreadableEntry, ...]:
        """Return the newest entries, newest first. The whole history may have 10,000 entries with graphs."""
        return history_entries(await self._object(f"/history?max_items={count}"))[::-1]

    async def object_info(self, class_type: str) -> Mapping[str, Any] | None:
        """Return the description of a node class, None if the server does not have it and answers `{}`.

        Some gateways answer with all classes.
        """
        answer = await self._object(f"/object_info/{quote(class_type, safe='')}")
        info = answer.get(class_type)
        if isinstance(info, dict):
            return info
        if class_type in answer or not all(isinstance(one, dict) and "input" in one for one in answer.values()):
            raise NotUnderstoodError(message("class_not_described"), OK, shown(answer))
        return None

    async def node_replacements(self) -> dict[str, Any]:
        """Return the node classes that the server replaces. ComfyUI before 0.14 does not have the route."""
        return await self._object("/node_replacements")

    async def system_stats(self) -> dict[str, Any]:
        """Return the answer of GET /system_stats: versions, arguments and devices."""
        return await self._object("/system_stats")

    async def version(self) -> str | None:
        """Return ComfyUI's version, None if the server does not report it."""
        version: str | None = describe_system(await self.system_stats())["version"]
        return version

    async def find_prompt(
        self, attempt: Attempt, *, thorough: bool = False
    ) -> events.PromptEnd | events.PromptAccepted | None:
        """Return how the attempt's prompt ended or that it is queued or running, None if the server does not have it.

        Ask for the prompt itself where the server has a route for that. Otherwise, and if that finds nothing, read
        history, the queue, and history again: ComfyUI moves a prompt from pending to running to history under one
        lock (execution.py, PromptQueue), so a prompt that moves meanwhile is in one of the answers. The last step also
        finds a prompt to which an older server gave its own id; if `thorough`, behind hundreds of later ones. Raises
        IncompleteQueueError if the prompt is not found and the queue may hold prompts that it does not list.
        """
        if found := await self._jobs.find(attempt):
            return found
        entry = await self.history_entry(attempt.server_prompt_id)
        if entry is None:
            listing = await self.queue()
            for item in listing.items:
                if item.is_of(attempt):
                    return events.PromptAccepted(attempt.prompt_id, item.prompt_id, Source.QUEUE)
            entry = await self.history_entry(attempt.server_prompt_id)
            if entry is None:
                return await self._find_by_marker(attempt, listing, EARLIER_PROMPTS if thorough else RECENT_PROMPTS)
        return replace(entry.end, prompt_id=attempt.prompt_id)

    async def submit(
        self,
        graph: Mapping[str, Any],
        marker: Marker,
        client_id: str | None,
        *,
        front: bool,
        extra_data: Mapping[str, Any] = MappingProxyType({}),
    ) -> SubmitResult:
        """POST /prompt once, with the marker added to `extra_data`.

        Raises NotAnsweringError if no answer came, or RateLimitedError; the prompt may be queued nevertheless.
        """
        body: dict[str, Any] = {
            "prompt": graph,
            "prompt_id": marker.attempt,
            "extra_data": {**extra_data, MARKER: marker.as_json()},
        }
        if client_id is not None:
            body["client_id"] = client_id
        if front:
            body["front"] = True
        reply = await self._transport.request("POST", "/prompt", orjson.dumps(body))
        if reply.is_absent:
            await self.expect_comfyui()
        return parse_submit_reply(reply, marker.attempt)

    async def _find_by_marker(
        self, attempt: Attempt, listing: QueueListing, counts: Sequence[int]
    ) -> events.PromptEnd | None:
        """Return how a prompt ended whose id the server may have chosen; the server's id for an accepted one is known.

        Raises IncompleteQueueError if it is not found and may be among the prompts that are not listed.
        """
        for count in counts if attempt.accepted_at is None else ():
            newest = await self._newest_up_to(count, counts[0])
            if end := end_of(attempt, newest):
                return end
            if len(newest) < count:
                break
        listing.raise_if_incomplete()
        return None

    async def _newest_up_to(self, count: int, least: int) -> Sequence[HistoryEntry | UnreadableEntry]:
        """Return the newest entries, none if the server can send `least` of them but not `count`, which are larger."""
        try:
            return await self.newest_history(count)
        except ComfyError:
            if count == least:
                raise
            return ()

    async def _object(self, path: str) -> dict[str, Any]:
        try:
            return (await self.get(path)).raise_for_status().json_object()
        except AbsentError:
            await self.expect_comfyui()
            raise
