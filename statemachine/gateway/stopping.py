"""Stopping prompts: of each client only its own."""

from aiohttp import web
from loguru import logger

from statemachine.gateway.asking import ids_in, json_answer, post_to, queue_of
from statemachine.gateway.errors import not_allowed
from statemachine.gateway.finder import Finder
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import PromptRecord, Stage
from statemachine.gateway.requests import client_of, json_body
from statemachine.gateway.tracking import Tracker
from statemachine.gateway.upstream import Upstream


class Stopping:
    """Interrupts running prompts and deletes waiting ones."""

    def __init__(self, ledger: Ledger, view: FleetView, upstream: Upstream, finder: Finder, tracker: Tracker) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._finder = finder
        self._tracker = tracker

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that this object handles."""
        return [
            web.post("/queue", self.change_queue),
            web.post("/interrupt", self.interrupt),
            web.post("/jobs/cancel", self.cancel_several),
            web.post("/jobs/{prompt_id}/cancel", self.cancel),
        ]

    async def change_queue(self, request: web.Request) -> web.Response:
        """Delete waiting prompts of the client."""
        body = await json_body(request)
        if body.get("clear"):
            raise not_allowed("clearing the queue")
        for prompt_id in ids_in(body.get("delete", [])):
            record = await self._finder.find(client_of(), prompt_id)
            if record is not None and record.stage is not Stage.ENDED:
                await self._delete(record)
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

    async def cancel(self, request: web.Request) -> web.Response:
        """Stop one prompt of the client, whether it waits or runs."""
        return json_answer({"cancelled": await self._cancel(request.match_info["prompt_id"])})

    async def cancel_several(self, request: web.Request) -> web.Response:
        """Stop several prompts of the client."""
        body = await json_body(request)
        if not isinstance(body.get("job_ids"), list):
            return web.json_response({"error": "job_ids must be a list"}, status=400)
        cancelled = [await self._cancel(one) for one in ids_in(body["job_ids"])]
        return json_answer({"cancelled": any(cancelled)})

    async def _cancel(self, prompt_id: str) -> bool:
        record = await self._finder.find(client_of(), prompt_id)
        if record is None or record.stage is Stage.ENDED:
            return False
        await self._interrupt(record)
        await self._delete(record)
        return True

    async def _delete(self, record: PromptRecord) -> None:
        """Delete a waiting prompt from its server's queue; one that runs goes on."""
        logger.info("{} is deleted from the queue of {} for {}", record.prompt_id, record.server, _shown(record))
        await post_to(self._view, self._upstream, record.server, "/queue", {"delete": [record.prompt_id]})
        record.is_deleted = True
        await self._tracker.look(record.server)

    async def _interrupt(self, record: PromptRecord) -> None:
        """Interrupt a prompt if it runs. Older servers ignore the id and stop any prompt, so look first."""
        running, _ = await queue_of(self._view, self._upstream, record.server)
        if any(item[1] == record.prompt_id for item in running):
            logger.info("{} is interrupted on {} for {}", record.prompt_id, record.server, _shown(record))
            await post_to(self._view, self._upstream, record.server, "/interrupt", {"prompt_id": record.prompt_id})


def _shown(record: PromptRecord) -> str:
    return f"client {record.client}" if record.client else "a local client"
