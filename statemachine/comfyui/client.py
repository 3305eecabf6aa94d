"""ComfyUI's HTTP routes, by name. See PROTOCOL in docs/comfyui.md for what each answers."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from statemachine.comfyui.errors import RAW_SHOWN, ComfyError, NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.frames import queue_length
from statemachine.comfyui.json_text import shown
from statemachine.comfyui.records import (
    MARKER,
    HistoryEntry,
    Marker,
    QueueItem,
    history_entries,
    queue_items,
    running_ids,
)
from statemachine.comfyui.transport import OK, REDIRECTS, Reply, Transport
from statemachine.core import events
from statemachine.core.messages import Message, joined, message, verbatim
from statemachine.core.vocabulary import Reason, Source

Answer = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered

REFUSED = 400
TOO_LARGE = 413


def read_reply(reply: Reply, prompt_id: str) -> Answer:
    """The event that the answer is for the prompt that was posted under our `prompt_id`."""
    if reply.is_denial:
        return events.PromptRefused(Reason.ACCESS_DENIED, message("post_denied", status=reply.status))
    if reply.status in REDIRECTS:
        return events.PromptRefused(Reason.PROMPT_REFUSED, message("post_redirected", location=reply.location))
    if reply.status == TOO_LARGE:
        return events.PromptRefused(Reason.PROMPT_REFUSED, message("workflow_too_large"))
    try:
        if reply.status == REFUSED and "error" in (answer := reply.json_object()):
            return _refusal(answer)
        return _acceptance(reply.raise_for_status().json_object(), prompt_id, reply)
    except NotAnsweringError:
        raise
    except ComfyError as error:
        return events.SubmissionUnanswered(message("post_failed", error=error.message), answered=True)


def _acceptance(answer: dict[str, Any], prompt_id: str, reply: Reply) -> Answer:
    given, errors = answer.get("prompt_id"), answer.get("node_errors")
    if not isinstance(given, str):
        incomplete = message("no_prompt_id", status=reply.status, raw=repr(reply.text[:RAW_SHOWN]))
        return events.SubmissionUnanswered(incomplete, answered=True)
    if errors:
        partly = message("partly_refused", errors=_node_errors(errors) or shown(errors)[:RAW_SHOWN])
        return events.PromptRefused(Reason.PROMPT_REFUSED, partly, still_runs=True)
    return events.PromptAccepted(prompt_id, given, Source.REPLY)


def _refusal(answer: dict[str, Any]) -> events.PromptRefused:
    error = answer["error"]
    error = error if isinstance(error, dict) else {"message": error}
    summary, details = shown(error.get("message") or ""), shown(error.get("details") or "")
    node_errors = _node_errors(answer.get("node_errors"))
    if node_errors is not None:
        errors = message("detailed", summary=summary, details=node_errors) if summary else node_errors
    else:
        errors = verbatim(": ".join(part for part in (summary, details) if part))
    return events.PromptRefused(Reason.PROMPT_REFUSED, message("workflow_refused", errors=errors))


def _node_errors(errors: object) -> Message | None:
    """Return `node 20 (CacheBackendData //Inspire): Required input is missing: tag; …`, None without any."""
    if not isinstance(errors, dict) or not errors:
        return None
    return joined(
        [
            message("node_error", node=str(node_id), class_type=_class_of(entry), errors=_details(entry))
            for node_id, entry in errors.items()
        ]
    )


def _class_of(entry: object) -> str:
    return shown(entry.get("class_type")) if isinstance(entry, dict) else "?"


def _details(entry: object) -> str:
    listed = entry.get("errors") if isinstance(entry, dict) else None
    errors = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return ", ".join(f"{shown(one.get('message', ''))}: {shown(one.get('details', ''))}" for one in errors)


class ComfyClient:
    """Speaks to one server. Every method raises ComfyError where no usable answer comes."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get(self, path: str, accept: str | None = None) -> Reply:
        """The plain answer of a GET, whatever its status."""
        return await self._transport.request("GET", path, accept=accept)

    async def queue(self) -> tuple[QueueItem, ...]:
        """Every running and pending prompt."""
        return queue_items(await self._object("/queue"))

    async def running(self) -> frozenset[str]:
        """The ids of the prompts that run; empty where the worker rests, or has died."""
        return running_ids(await self._object("/queue"))

    async def queue_remaining(self) -> int:
        """How many prompts run or wait. The cheapest question that proves a server answers."""
        answer = await self._object("/prompt")
        try:
            return queue_length(answer["exec_info"]["queue_remaining"])
        except (KeyError, TypeError, ValueError) as error:
            raise NotUnderstoodError(message("not_comfyui"), OK, shown(answer)) from error

    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        """The entry of one prompt; None while it is unknown, pending or running."""
        entries = history_entries(await self._object(f"/history/{quote(prompt_id, safe='')}"))
        return entries[0] if entries else None

    async def newest_history(self, count: int) -> tuple[HistoryEntry, ...]:
        """The newest entries, newest first. All of it may be 10,000 whole graphs: never asked for."""
        return history_entries(await self._object(f"/history?max_items={count}"))[::-1]

    async def object_info(self, class_type: str) -> Mapping[str, Any] | None:
        """What the server says of a node class; None where it has no such class (it answers `{}`)."""
        answer = await self._object(f"/object_info/{quote(class_type, safe='')}")
        info = answer.get(class_type)
        return info if isinstance(info, dict) else None

    async def system_stats(self) -> dict[str, Any]:
        """Version, arguments and devices, as the server words them."""
        return await self._object("/system_stats")

    async def submit(
        self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, *, front: bool
    ) -> events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered:
        """POST /prompt, once. Raises NotAnsweringError where the answer never came: the prompt may be queued then."""
        body: dict[str, Any] = {
            "prompt": graph,
            "prompt_id": marker.attempt,
            "extra_data": {MARKER: marker.as_json()},
        }
        if client_id is not None:
            body["client_id"] = client_id
        if front:
            body["front"] = True
        return read_reply(await self._transport.request("POST", "/prompt", orjson.dumps(body)), marker.attempt)

    async def _object(self, path: str) -> dict[str, Any]:
        return (await self.get(path)).raise_for_status().json_object()
