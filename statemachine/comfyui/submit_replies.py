"""The reply to POST /prompt: whether the server accepted the prompt, refused it, or may have it."""

from itertools import islice
from typing import Any

from statemachine.comfyui.errors import RAW_SHOWN, ComfyError, NotAnsweringError, RateLimitedError
from statemachine.comfyui.server_json import shown
from statemachine.comfyui.transport import REDIRECTS, Reply
from statemachine.core import events
from statemachine.core.messages import JOINED_LIMIT, Message, joined, message, verbatim
from statemachine.core.vocabulary import Reason, Source

SubmitResult = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered

REFUSED = 400
MAX_ID = 200
"""Characters of a prompt_id. Those that servers choose have 36, and we send such."""
TOO_LARGE = 413


def parse_submit_reply(reply: Reply, prompt_id: str) -> SubmitResult:
    """Return the event of a reply to the POST /prompt of the prompt `prompt_id`.

    Only 200 with a string `prompt_id` and no `node_errors` means accepted (transcripts 01 and 07). Raises
    NotAnsweringError for a proxy's error and RateLimitedError for a 429: the prompt may be queued nevertheless.
    """
    if reply.is_denial:
        return events.PromptRefused(Reason.ACCESS_DENIED, message("post_failed", error=reply.denial))
    if reply.status in REDIRECTS:
        location = reply.location[:RAW_SHOWN]
        return events.PromptRefused(Reason.PROMPT_REFUSED, message("post_redirected", location=location))
    if reply.status == TOO_LARGE:
        return events.PromptRefused(Reason.PROMPT_REFUSED, message("workflow_too_large"))
    try:
        if reply.status == REFUSED and "error" in (answer := reply.json_object()):
            return _refusal(answer)
        return _acceptance(reply.raise_for_status().json_object(), prompt_id, reply)
    except (NotAnsweringError, RateLimitedError):
        raise
    except ComfyError as error:
        return events.SubmissionUnanswered(message("post_failed", error=error.message), answered=True)


def _acceptance(answer: dict[str, Any], prompt_id: str, reply: Reply) -> SubmitResult:
    """Return the event of a 200. With `node_errors`, the server has dropped output nodes and runs the others."""
    given, errors = answer.get("prompt_id"), answer.get("node_errors")
    if not isinstance(given, str) or len(given) > MAX_ID:
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
    if missing := _missing_class(error, summary):
        errors = missing
    elif node_errors is not None:
        errors = message("detailed", summary=summary, details=node_errors) if summary else node_errors
    else:
        errors = verbatim(": ".join(part for part in (summary, details) if part))
    return events.PromptRefused(Reason.PROMPT_REFUSED, message("workflow_refused", errors=errors))


def _missing_class(error: dict[str, Any], summary: str) -> Message | None:
    """Return which node class the server lacks. Since 0.12 the error's text has the node's title instead."""
    match error:
        case {"type": "missing_node_type", "extra_info": {"class_type": str() as name, "node_id": node}}:
            return message("node_error", node=shown(node), class_type=shown(name), errors=summary)
    return None


def _node_errors(errors: object) -> Message | None:
    """Return `node 20 (CacheBackendData //Inspire): Required input is missing: tag; …`, None if there are none."""
    if not isinstance(errors, dict) or not errors:
        return None
    first = [
        message("node_error", node=shown(node_id), class_type=_class_of(entry), errors=_details(entry))
        for node_id, entry in islice(errors.items(), JOINED_LIMIT)
    ]
    return joined(first, more=len(errors) - len(first))


def _class_of(entry: object) -> str:
    return shown(entry.get("class_type")) if isinstance(entry, dict) else "?"


def _details(entry: object) -> str:
    listed = entry.get("errors") if isinstance(entry, dict) else None
    errors = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    texts = (f"{shown(one.get('message', ''))}: {shown(one.get('details', ''))}" for one in errors[:JOINED_LIMIT])
    return ", ".join(texts)
