"""Queue, history and jobs: of each client only its own prompts."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from statemachine.comfyui.records import GATEWAY_MARKER
from statemachine.gateway import frames
from statemachine.gateway.asking import (
    AT_A_TIME,
    MAX_LISTED,
    each,
    ids_in,
    is_item,
    json_answer,
    post_to,
    queue_of,
    unavailable,
)
from statemachine.gateway.delivery import keep_entry
from statemachine.gateway.errors import JSON, GatewayError, bad_request, not_allowed
from statemachine.gateway.finder import EXTRA_DATA, Finder
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.json_text import dumps
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import File, PromptRecord, Stage, files_in, marker_in, tagged
from statemachine.gateway.requests import client_of, json_body
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream

Json = dict[str, Any]


class Results:
    """Answers questions about prompts, and deletes them from the history."""

    def __init__(
        self,
        ledger: Ledger,
        view: FleetView,
        upstream: Upstream,
        finder: Finder,
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._finder = finder

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that this object handles."""
        return [
            web.get("/prompt", self.remaining),
            web.get("/queue", self.queue),
            web.get("/history", self.history),
            web.post("/history", self.change_history),
            web.get("/history/{prompt_id}", self.history_entry),
            web.get("/jobs", self.jobs),
            web.get("/jobs/{prompt_id}", self.job),
        ]

    async def remaining(self, request: web.Request) -> web.Response:
        """Answer with the number of the client's open prompts."""
        count = len(self._ledger.open_of(client_of()))
        return json_answer({"exec_info": {"queue_remaining": count}})

    async def queue(self, request: web.Request) -> web.Response:
        """Answer with the client's prompts in the queues of the servers."""
        client = client_of()
        servers = {one.server for one in self._ledger.open_of(client)}
        listings = await each(sorted(servers), self._queue)
        running, pending = (
            [_own_item(item) for listing in listings for item in listing[part] if _is_of(client, item)]
            for part in (0, 1)
        )
        return json_answer({"queue_running": running, "queue_pending": sorted(pending, key=lambda item: str(item[0]))})

    async def history(self, request: web.Request) -> web.StreamResponse:
        """Answer with the newest ended prompts of the client, entry by entry, oldest first."""
        limit, offset = _number(request, "max_items", MAX_LISTED), _number(request, "offset", 0)
        ended = [one for one in self._ledger.of_client(client_of()) if one.stage is Stage.ENDED]
        chosen = ended[offset : offset + min(limit, MAX_LISTED)][::-1]
        response = web.StreamResponse(headers={"Content-Type": JSON})
        await response.prepare(request)
        await response.write(b"{")
        is_first = True
        for start in range(0, len(chosen), AT_A_TIME):
            for text in await each(chosen[start : start + AT_A_TIME], self._entry_text):
                await response.write(text if is_first else b", " + text)
                is_first = False
        await response.write(b"}")
        return response

    async def history_entry(self, request: web.Request) -> web.Response:
        """Answer with one ended prompt, `{}` for any other."""
        record = await self._finder.find(client_of(), request.match_info["prompt_id"])
        entry = None if record is None else await self._entry(record)
        return json_answer({} if record is None or entry is None else {record.prompt_id: entry})

    async def change_history(self, request: web.Request) -> web.Response:
        """Delete ended prompts of the client from the history."""
        body = await json_body(request)
        if body.get("clear"):
            raise not_allowed("clearing the history")
        for prompt_id in ids_in(body.get("delete", [])):
            record = await self._finder.find(client_of(), prompt_id)
            if record is not None and record.stage is Stage.ENDED:
                await post_to(self._view, self._upstream, record.server, "/history", {"delete": [record.prompt_id]})
                self._ledger.forget(record)
        return web.Response()

    async def jobs(self, request: web.Request) -> web.Response:
        """Answer with the client's newest prompts in the form of ComfyUI's jobs."""
        limit, offset = max(_number(request, "limit", 50), 1), _number(request, "offset", 0)
        wanted = {one.strip() for one in request.query.get("status", "").split(",") if one.strip()}
        records = list(self._ledger.of_client(client_of()))
        total = len(records)
        if not wanted:
            records = records[offset : offset + min(limit, MAX_LISTED)]
        found = [job for job in await each(records[:MAX_LISTED], self._job) if not wanted or job["status"] in wanted]
        if wanted:
            total, found = len(found), found[offset : offset + limit]
        page = {"offset": offset, "limit": limit, "total": total, "has_more": offset + len(found) < total}
        return json_answer({"jobs": found, "pagination": page})

    async def job(self, request: web.Request) -> web.Response:
        """Answer with one prompt in the form of ComfyUI's jobs."""
        record = await self._finder.find(client_of(), request.match_info["prompt_id"])
        found = None if record is None else await self._job(record)
        return web.json_response({"error": "Job not found"}, status=404) if found is None else json_answer(found)

    async def files_of(self, record: PromptRecord) -> set[File]:
        """Return the files that a prompt's history names."""
        entry = await self._server_entry(record)
        return set() if entry is None else set(files_in(entry.get("outputs")))

    async def _entry(self, record: PromptRecord) -> Json | None:
        """Return a prompt's history entry as its client sees it."""
        entry = None if record.error or record.in_flight else await self._server_entry(record)
        if entry is None:
            return frames.kept_entry(record) if record.stage is Stage.ENDED and record.end else None
        if record.stage is Stage.ENDED and not record.end:
            keep_entry(record, entry)
            self._ledger.put(record)
        if isinstance(entry.get("prompt"), list):
            entry["prompt"] = _own_item(entry["prompt"])
        return {**entry, "outputs": tagged(entry.get("outputs"), record.prompt_id)}

    async def _queue(self, name: str) -> tuple[list[Any], list[Any]]:
        return await queue_of(self._view, self._upstream, name)

    async def _server_entry(self, record: PromptRecord) -> Json | None:
        """Return the entry in the server's history, None without one. What was kept stands in for a server away."""
        server = self._view.get(record.server)
        if server is None:
            return None
        try:
            return await self._upstream.history_entry(server.config, record.prompt_id)
        except (NotSentError, NoAnswerError) as error:
            if record.end:
                return None
            raise unavailable(error) from error

    async def _entry_text(self, record: PromptRecord) -> bytes | None:
        try:
            entry = await self._entry(record)
        except GatewayError:  # its server is away; the other entries are answered
            return None
        return None if entry is None else dumps(record.prompt_id) + b": " + dumps(entry)

    async def _job(self, record: PromptRecord) -> Json | None:
        if record.error:
            return {"id": record.prompt_id, "status": "failed", "outputs_count": 0}
        server = self._view.get(record.server)
        if server is None:
            return None
        path = f"/api/jobs/{quote(record.prompt_id, safe='')}"
        try:
            job = await self._upstream.json(server.config, path)
        except (NotSentError, NoAnswerError):
            return None
        return tagged(job, record.prompt_id) if isinstance(job, dict) and "status" in job else None


def _is_of(client: str, item: Sequence[Any]) -> bool:
    marker = marker_in(item[EXTRA_DATA])
    return bool(marker) and marker.get("client") == client


def _own_item(item: list[Any]) -> list[Any]:
    """Return a queue item as its client sent it, without the gateway's marker and client id."""
    if not is_item(item) or not isinstance(extra := item[EXTRA_DATA], dict):
        return item
    client_id = marker_in(extra).get("client_id")
    own = {key: value for key, value in extra.items() if key not in {GATEWAY_MARKER, "client_id"}}
    return [*item[:EXTRA_DATA], own if client_id is None else {**own, "client_id": client_id}, *item[EXTRA_DATA + 1 :]]


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10):  # noqa: PLR2004
        raise bad_request("invalid_number", f"{name} must be an integer")
    number = int(text)
    return number if number >= 0 else default
