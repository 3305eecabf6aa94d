"""POST /prompt: choose a server, commit the prompt, post it once, and pass the server's answer through."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from loguru import logger

from statemachine.comfyui.records import GATEWAY_MARKER
from statemachine.comfyui.records import MARKER as WARM_UP_MARKER
from statemachine.gateway.decisions import Decisions
from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.errors import GatewayError, bad_request
from statemachine.gateway.finder import Finder
from statemachine.gateway.fleet_view import Candidate, Choice, FleetView
from statemachine.gateway.json_text import dumps, loads
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.metrics import GatewayMetrics
from statemachine.gateway.prompt_request import PromptRequest, fair_number, new_record
from statemachine.gateway.records import PromptRecord, Stage
from statemachine.gateway.shared_uploads import SharedUploads
from statemachine.gateway.tracking import Tracker, accept
from statemachine.gateway.uploads import Upload, Uploads
from statemachine.gateway.upstream import Answer, NoAnswerError, NotSentError, Upstream
from statemachine.routing.decision import Explanation

NO_SERVER = "no_server"
MAX_REFUSALS = 3
"""Servers that may refuse a graph before the first refusal is passed to the client: they may have different models."""
NOT_ACCEPTED = frozenset({400, 401, 403, 404, 405, 413})
"""Statuses that show that the prompt was not queued."""
ANSWERED = 500
"""ComfyUI's answer to a graph that it cannot read. One complete look shows whether the prompt was queued."""

NOT_PASSED_ON = frozenset({"client_id", WARM_UP_MARKER})
"""Keys of extra_data that a client may not choose."""


class Submission:
    """Posts prompts. No prompt is posted to a server after another one may have received it."""

    def __init__(
        self,
        ledger: Ledger,
        view: FleetView,
        upstream: Upstream,
        finder: Finder,
        tracker: Tracker,
        delivery: FrameDelivery,
        uploads: Uploads,
        shared: SharedUploads,
        max_prompts: int,
        decisions: Decisions,
        metrics: GatewayMetrics,
    ) -> None:
        self._ledger = ledger
        self._view = view
        self._upstream = upstream
        self._finder = finder
        self._tracker = tracker
        self._delivery = delivery
        self._uploads = uploads
        self._shared = shared
        self._max_prompts = max_prompts
        self._decisions = decisions
        self._metrics = metrics
        self._entering: dict[str, str] = {}
        """The prompts whose POST is being answered, and their clients."""

    async def submit(self, request: PromptRequest) -> Answer:
        """Return the answer of the server that accepted or refused the prompt. Raises GatewayError."""
        known = self._ledger.get(request.prompt_id)
        if known is not None:
            return _repeated(known, request)
        entering = {prompt_id for prompt_id, client in self._entering.items() if client == request.client}
        if len(entering.union(one.prompt_id for one in self._ledger.open_of(request.client))) >= self._max_prompts:
            self._metrics.limit_reached(request.client, "prompts")
            message = f"{self._max_prompts} prompts of this client are waiting or running; wait for one to end"
            raise GatewayError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_prompts", message, {"Retry-After": "5"})
        if request.prompt_id in self._entering:
            raise bad_request("invalid_prompt_id", "prompt_id is used by another prompt")
        self._entering[request.prompt_id] = request.client
        try:
            if request.is_id_chosen and (known := await self._finder.search(request.client, request.prompt_id)):
                return _repeated(known, request)
            await self._shared.find_all(request.client, request.graph)
            uploads = self._uploads.insert(request.client, request.graph)
            return await self._submit(request, new_record(request), self._view.choose(request.graph), uploads)
        finally:
            del self._entering[request.prompt_id]

    async def post_again(self, request: PromptRequest, record: PromptRecord) -> bool:
        """Post a prompt that certainly no server has. Return False if none has accepted it now.

        A server that has refused it is not asked again.
        """
        await self._shared.find_all(request.client, request.graph)
        uploads = self._uploads.insert(request.client, request.graph)
        record.stage, record.is_moving = Stage.POSTING, True
        record.absent_since, record.looks = None, 0
        choice = self._view.choose(request.graph)
        choice = replace(choice, servers=[one for one in choice.servers if one.name not in record.refused_by])
        try:
            return (await self._submit(request, record, choice, uploads)).status == HTTPStatus.OK
        except GatewayError as error:
            return error.code != NO_SERVER

    async def _submit(
        self, request: PromptRequest, record: PromptRecord, choice: Choice, uploads: Sequence[Upload]
    ) -> Answer:
        refusals: list[Answer] = []
        for server in choice.servers:
            explanation = choice.explain(server.name)
            try:
                answer = await self._post(request, record, server, uploads, explanation)
            except NotSentError as error:
                logger.warning("{}; the prompt goes to another server", error)
                continue
            if answer.status == HTTPStatus.OK:
                return answer
            refusals.append(answer)
            record.refused_by.add(server.name)
            if len(refusals) >= MAX_REFUSALS or answer.status == ANSWERED:
                break
        if refusals:
            return refusals[0]
        message = "no server of the fleet can take prompts at the moment; try again later"
        raise GatewayError(HTTPStatus.SERVICE_UNAVAILABLE, NO_SERVER, message, {"Retry-After": "10"})

    async def _post(
        self,
        request: PromptRequest,
        record: PromptRecord,
        server: Candidate,
        uploads: Sequence[Upload],
        explanation: Explanation,
    ) -> Answer:
        """Commit the prompt for this server and post it. Raises NotSentError if the server has not received it."""
        self._view.chooser.note_sent(server.name, record.prompt_id, request.graph)
        try:
            for upload in uploads:
                await self._uploads.hand_over(upload, server.config, self._upstream)
        except NotSentError:
            self._view.chooser.note_withdrawn(server.name, record.prompt_id)
            raise
        record.server, record.in_flight = server.name, True
        body = self._body(request, record)
        self._ledger.put(record)
        try:
            answer = await self._upstream.post_prompt(server.config, body)
        except NotSentError:
            self._withdraw(record)
            raise
        except NoAnswerError as error:
            answer = Answer(0, "", str(error).encode())
        finally:
            record.in_flight = False
        if answer.status not in NOT_ACCEPTED and answer.status != ANSWERED:
            self._decisions.note(explanation)
            self._metrics.decided(explanation)
        return await self._settle(record, server, answer, uploads)

    async def _settle(
        self, record: PromptRecord, server: Candidate, answer: Answer, uploads: Sequence[Upload]
    ) -> Answer:
        """Note what the answer shows. The status 0 stands for none, with the reason as body."""
        if not answer.status:
            return await self._in_doubt(record, answer.body.decode())
        if answer.status == HTTPStatus.OK:
            return await self._accepted(record, answer)
        if answer.status == ANSWERED:
            return await self._failed(record, answer)
        if answer.status not in NOT_ACCEPTED:
            return await self._in_doubt(record, f"{server.name} answered with HTTP {answer.status}")
        self._withdraw(record)
        self._uploads.forget_handed(server.name, uploads)
        return answer

    def _body(self, request: PromptRequest, record: PromptRecord) -> bytes:
        """Return the body for the server: our client id, our marker, and the prompt's place in the queue."""
        body = {key: value for key, value in request.body.items() if key not in {"front", "number"}}
        body["prompt_id"] = record.prompt_id
        body["client_id"] = self._ledger.link_id
        extra = {key: value for key, value in (body.get("extra_data") or {}).items() if key not in NOT_PASSED_ON}
        body["extra_data"] = {**extra, GATEWAY_MARKER: record.marker}
        waiting = [one for one in self._ledger.open_on(record.server) if one.stage is Stage.ACCEPTED]
        number = fair_number(waiting, record.client)
        return dumps(body if number is None else {**body, "number": number})

    async def _accepted(self, record: PromptRecord, answer: Answer) -> Answer:
        """Note what a 200 says. One without a prompt_id, as of a portal page, leaves the prompt in doubt."""
        try:
            reply = loads(answer.body)
        except ValueError:
            reply = None
        match reply:
            case {"prompt_id": str() as prompt_id}:
                accept(self._ledger, record, prompt_id, reply.get("number"))
                self._announce(record)
                return answer
        return await self._in_doubt(record, f"{record.server} answered without a prompt_id")

    async def _failed(self, record: PromptRecord, answer: Answer) -> Answer:
        """Return a 500 once the server was seen not to have the prompt."""
        await self._tracker.look(record.server)
        if record.stage is Stage.POSTING and record.looks:
            self._withdraw(record)
            return answer
        return await self._in_doubt(record, f"{record.server} answered with HTTP {answer.status}")

    async def _in_doubt(self, record: PromptRecord, why: str) -> Answer:
        """Look for the prompt until it is found or lost. It is never posted again."""
        logger.warning("{}; looking for the prompt {}", why, record.prompt_id)
        self._ledger.put(record)
        deadline = time.monotonic() + self._tracker.times.in_doubt_s
        while record.stage is Stage.POSTING and time.monotonic() < deadline:
            await asyncio.sleep(self._tracker.times.anxious_s)
            await self._tracker.look(record.server)
        if record.error:
            raise GatewayError(HTTPStatus.BAD_GATEWAY, "prompt_lost", record.error)
        if record.stage is Stage.POSTING:
            message = f"{why}; the prompt {record.prompt_id} may run; its history will say"
            raise GatewayError(HTTPStatus.GATEWAY_TIMEOUT, "prompt_in_doubt", message)
        self._announce(record)
        return _acceptance(record)

    def _withdraw(self, record: PromptRecord) -> None:
        """Remove a prompt that its server certainly does not have. One that was accepted before stays in the ledger."""
        self._view.chooser.note_withdrawn(record.server, record.prompt_id)
        if record.is_moving:
            record.in_flight = True  # the tracker would report it lost
        else:
            self._ledger.forget(record)

    def _announce(self, record: PromptRecord) -> None:
        if record.client_id is not None:
            self._delivery.send_status(record.client, record.client_id)


def _repeated(known: PromptRecord, request: PromptRequest) -> Answer:
    """Answer a POST that repeats one: it runs once."""
    if known.client != request.client or known.digest not in {"", request.digest}:
        raise bad_request("invalid_prompt_id", "prompt_id is used by another prompt")
    if known.stage is Stage.POSTING:
        message = "the prompt is being posted; its history will say how it ends"
        raise GatewayError(HTTPStatus.CONFLICT, "prompt_in_doubt", message, {"Retry-After": "5"})
    return _acceptance(known)


def _acceptance(record: PromptRecord) -> Answer:
    body = {"prompt_id": record.prompt_id, "number": record.number, "node_errors": {}}
    return Answer(int(HTTPStatus.OK), "application/json", dumps(body))
