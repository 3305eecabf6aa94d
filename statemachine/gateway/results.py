"""Queue, history and jobs: of each client only its own prompts."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from aiohttp import web

from statemachine.gateway import frames
from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.errors import JSON, GatewayError, bad_request, not_allowed
from statemachine.gateway.finder import EXTRA_DATA, Finder
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.json_text import dumps
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import MARKER, PromptRecord, Stage, files_in, marker_in, tagged
from statemachine.gateway.requests import client_of, json_body
from statemachine.gateway.tracking import Tracker, queue_items
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream

MAX_LISTED = 200
"""Entries of one answer."""
AT_A_TIME = 8
ANSWERED = 200
Json = dict[str, Any]


class Results:
    """Answers questions about prompts, and stops or deletes prompts."""

    def __init__(
        self,
        ledger: Ledger,
        view: FleetView,
        upstream: Upstream,
        finder: Finder,
        tracker: Tracker,
        delivery: FrameDelivery,
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._finder = finder
        self._tracker = tracker
        self._delivery = delivery

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that this object handles."""
        return [
            web.get("/prompt", self.remaining),
            web.get("/queue", self.queue),
            web.post("/queue", self.change_queue),
            web.get("/history", self.history),
            web.post("/history", self.change_history),
            web.get("/history/{prompt_id}", self.history_entry),
            web.post("/interrupt", self.interrupt),
            web.get("/jobs", self.jobs),
            web.post("/jobs/cancel", self.cancel_several),
            web.get("/jobs/{prompt_id}", self.job),
            web.post("/jobs/{prompt_id}/cancel", self.cancel),
        ]

    async def remaining(self, request: web.Request) -> web.Response:
        """Answer with the number of the client's open prompts."""
        count = len(self._ledger.open_of(client_of()))
        return _json({"exec_info": {"queue_remaining": count}})

    async def queue(self, request: web.Request) -> web.Response:
        """Answer with the client's prompts in the queues of the servers."""
        client = client_of()
        servers = {one.server for one in self._ledger.open_of(client)}
        listings = await _each(sorted(servers), self._listing)
        running, pending = (
            [_own_item(item) for listing in listings for item in listing[part] if _is_of(client, item)]
            for part in (0, 1)
        )
        return _json({"queue_running": running, "queue_pending": sorted(pending, key=lambda item: str(item[0]))})

    async def change_queue(self, request: web.Request) -> web.Response:
        """Delete waiting prompts of the client."""
        body = await json_body(request)
        if body.get("clear"):
            raise not_allowed("clearing the queue")
        for prompt_id in _ids(body.get("delete", [])):
            record = await self._finder.find(client_of(), prompt_id)
            if record is not None and record.stage is not Stage.ENDED:
                await self._delete(record)
        return web.Response()

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
            for text in await _each(chosen[start : start + AT_A_TIME], self._entry_text):
                await response.write(text if is_first else b", " + text)
                is_first = False
        await response.write(b"}")
        return response

    async def history_entry(self, request: web.Request) -> web.Response:
        """Answer with one ended prompt, `{}` for any other."""
        record = await self._finder.find(client_of(), request.match_info["prompt_id"])
        entry = None if record is None else await self._entry(record)
        return _json({} if record is None or entry is None else {record.prompt_id: entry})

    async def change_history(self, request: web.Request) -> web.Response:
        """Delete ended prompts of the client from the history."""
        body = await json_body(request)
        if body.get("clear"):
            raise not_allowed("clearing the history")
        for prompt_id in _ids(body.get("delete", [])):
            record = await self._finder.find(client_of(), prompt_id)
            if record is not None and record.stage is Stage.ENDED:
                await self._post(record, "/history", {"delete": [record.prompt_id]})
                self._ledger.forget(record)
        return web.Response()

    async def interrupt(self, request: web.Request) -> web.Response:
        """Interrupt a running prompt of the client, or all of them without an id."""
        client, body = client_of(), await json_body(request)
        prompt_id = body.get("prompt_id")
        if prompt_id is None:
            records = self._ledger.open_of(client)
        else:
            record = await self._finder.find(client, str(prompt_id))
            records = [] if record is None else [record]
        for record in records:
            await self._interrupt(record)
        return web.Response()

    async def jobs(self, request: web.Request) -> web.Response:
        """Answer with the client's newest prompts in the form of ComfyUI's jobs."""
        limit, offset = max(_number(request, "limit", 50), 1), _number(request, "offset", 0)
        wanted = {one.strip() for one in request.query.get("status", "").split(",") if one.strip()}
        records = list(self._ledger.of_client(client_of()))
        total = len(records)
        if not wanted:
            records = records[offset : offset + min(limit, MAX_LISTED)]
        found = [job for job in await _each(records[:MAX_LISTED], self._job) if not wanted or job["status"] in wanted]
        if wanted:
            total, found = len(found), found[offset : offset + limit]
        page = {"offset": offset, "limit": limit, "total": total, "has_more": offset + len(found) < total}
        return _json({"jobs": found, "pagination": page})

    async def job(self, request: web.Request) -> web.Response:
        """Answer with one prompt in the form of ComfyUI's jobs."""
        record = await self._finder.find(client_of(), request.match_info["prompt_id"])
        found = None if record is None else await self._job(record)
        return web.json_response({"error": "Job not found"}, status=404) if found is None else _json(found)

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop one prompt of the client, whether it waits or runs."""
        return _json({"cancelled": await self._cancel(request, request.match_info["prompt_id"])})

    async def cancel_several(self, request: web.Request) -> web.Response:
        """Stop several prompts of the client."""
        body = await json_body(request)
        if not isinstance(body.get("job_ids"), list):
            return web.json_response({"error": "job_ids must be a list"}, status=400)
        cancelled = [await self._cancel(request, one) for one in _ids(body["job_ids"])]
        return _json({"cancelled": any(cancelled)})

    async def entry_files(self, record: PromptRecord) -> None:
        """Note the files of a prompt that its history names."""
        await self._entry(record)

    async def _cancel(self, request: web.Request, prompt_id: str) -> bool:
        record = await self._finder.find(client_of(), prompt_id)
        if record is None or record.stage is Stage.ENDED:
            return False
        await self._interrupt(record)
        await self._delete(record)
        return True

    async def _delete(self, record: PromptRecord) -> None:
        """Delete a waiting prompt from its server's queue; one that runs goes on."""
        await self._post(record, "/queue", {"delete": [record.prompt_id]})
        record.is_deleted = True
        await self._tracker.look(record.server)

    async def _interrupt(self, record: PromptRecord) -> None:
        """Interrupt a prompt if it runs. Older servers ignore the id and stop any prompt, so look first."""
        running, _ = await self._listing(record.server)
        if any(item[1] == record.prompt_id for item in running):
            await self._post(record, "/interrupt", {"prompt_id": record.prompt_id})

    async def _post(self, record: PromptRecord, path: str, body: Json) -> None:
        if (server := self._view.get(record.server)) is not None:
            await _available(self._upstream.post(server.config, path, dumps(body)))

    async def _listing(self, name: str) -> tuple[list[Any], list[Any]]:
        """Return the running and the waiting prompts of a server."""
        server = self._view.get(name)
        listing = await _available(self._upstream.json(server.config, "/queue")) if server is not None else None
        if listing is None or not queue_items(listing):
            return [], []
        return tuple([item for item in listing[part] if _is_item(item)] for part in ("queue_running", "queue_pending"))  # type: ignore[return-value]

    async def _entry(self, record: PromptRecord) -> Json | None:
        """Return a prompt's history entry as its client sees it."""
        if record.error:
            return frames.lost_entry(record)
        server = self._view.get(record.server)
        if server is None or record.in_flight:
            return None
        path = f"/history/{quote(record.prompt_id, safe='')}"
        answer = await _available(self._upstream.json(server.config, path))
        entry = answer.get(record.prompt_id) if isinstance(answer, dict) else None
        if not isinstance(entry, dict):
            return None
        if not record.files.issuperset(files := set(files_in(entry.get("outputs")))):
            record.files.update(files)
            self._ledger.put(record)
        if isinstance(entry.get("prompt"), list):
            entry["prompt"] = _own_item(entry["prompt"])
        return {**entry, "outputs": tagged(entry.get("outputs"), record.prompt_id)}

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


async def _available(asking: Any) -> Any:
    """Return the answer. Raises GatewayError if none came."""
    try:
        return await asking
    except (NotSentError, NoAnswerError) as error:
        raise GatewayError(web.HTTPBadGateway.status_code, "server_unavailable", str(error)) from error  # type: ignore[arg-type]


async def _each(arguments: Iterable[Any], ask: Any) -> list[Any]:
    """Return the answers that are not None, a few questions at a time."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(argument: Any) -> Any:
        async with places:
            return await ask(argument)

    return [found for found in await asyncio.gather(*map(one, arguments)) if found is not None]


def _is_item(item: object) -> bool:
    return isinstance(item, list) and len(item) > EXTRA_DATA


def _is_of(client: str, item: Sequence[Any]) -> bool:
    marker = marker_in(item[EXTRA_DATA])
    return bool(marker) and marker.get("client") == client


def _own_item(item: list[Any]) -> list[Any]:
    """Return a queue item as its client sent it, without the gateway's marker and client id."""
    if not _is_item(item) or not isinstance(extra := item[EXTRA_DATA], dict):
        return item
    client_id = marker_in(extra).get("client_id")
    own = {key: value for key, value in extra.items() if key not in {MARKER, "client_id"}}
    return [*item[:EXTRA_DATA], own if client_id is None else {**own, "client_id": client_id}, *item[EXTRA_DATA + 1 :]]


def _ids(value: object) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_LISTED:
        raise bad_request("invalid_ids", f"a list of at most {MAX_LISTED} prompt ids is needed")
    return [one for one in value if isinstance(one, str)]


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10):  # noqa: PLR2004
        raise bad_request("invalid_number", f"{name} must be an integer")
    number = int(text)
    return number if number >= 0 else default


def _json(value: Any) -> web.Response:
    return web.Response(body=dumps(value), content_type=JSON)
