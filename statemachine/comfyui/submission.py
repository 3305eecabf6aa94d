"""What the answer to POST /prompt means.

Accepted is only: 200, a JSON object, a text prompt_id and no node_errors. A refusal is only what ComfyUI itself words
as one. Everything else leaves it open whether the prompt is queued, and must be looked up (transcript 07).
"""

from typing import Any

from statemachine.comfyui.errors import ComfyError, NotAnsweringError
from statemachine.comfyui.transport import REDIRECTS, Reply
from statemachine.core import events
from statemachine.core.vocabulary import Reason, Witness

Answer = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered

REFUSED = 400
TOO_LARGE = 413


def read_reply(reply: Reply, prompt_id: str) -> Answer:
    """The event that the answer is for the prompt that was posted under our `prompt_id`."""
    if reply.is_denial:
        return events.PromptRefused(Reason.ACCESS_DENIED, f"POST /prompt: access denied (HTTP {reply.status})")
    if reply.status in REDIRECTS:
        where = f"POST /prompt is redirected to {reply.location}: use that address in the settings"
        return events.PromptRefused(Reason.PROMPT_REFUSED, where)
    if reply.status == TOO_LARGE:
        return events.PromptRefused(Reason.PROMPT_REFUSED, "the workflow is too large for the server (HTTP 413)")
    try:
        if reply.status == REFUSED and "error" in (answer := reply.json_object()):
            return _refusal(answer)
        return _acceptance(reply.raise_for_status().json_object(), prompt_id, reply)
    except NotAnsweringError:
        raise
    except ComfyError as error:
        return events.SubmissionUnanswered(f"POST /prompt: {error}", answered=True)


def _acceptance(answer: dict[str, Any], prompt_id: str, reply: Reply) -> Answer:
    given, errors = answer.get("prompt_id"), answer.get("node_errors")
    if not isinstance(given, str):
        said = f"POST /prompt answered {reply.status} without a prompt_id: {reply.text[:200]!r}"
        return events.SubmissionUnanswered(said, answered=True)
    if errors:
        message = f"the server dropped a part of the workflow and runs the rest: {_node_errors(errors)}"
        return events.PromptRefused(Reason.PROMPT_REFUSED, message, still_runs=True)
    return events.PromptAccepted(prompt_id, given, Witness.REPLY)


def _refusal(answer: dict[str, Any]) -> events.PromptRefused:
    error = answer["error"]
    error = error if isinstance(error, dict) else {"message": str(error)}
    details = _node_errors(answer.get("node_errors")) or str(error.get("details") or "")
    said = ": ".join(part for part in (str(error.get("message") or ""), details) if part)
    return events.PromptRefused(Reason.PROMPT_REFUSED, f"the server refused the workflow: {said}")


def _node_errors(errors: object) -> str:
    """`node 20 (CacheBackendData //Inspire): Required input is missing: tag; …`."""
    if not isinstance(errors, dict):
        return ""
    return "; ".join(f"node {node_id} ({_class_of(entry)}): {_details(entry)}" for node_id, entry in errors.items())


def _class_of(entry: object) -> str:
    return str(entry.get("class_type")) if isinstance(entry, dict) else "?"


def _details(entry: object) -> str:
    listed = entry.get("errors") if isinstance(entry, dict) else None
    errors = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return ", ".join(f"{one.get('message', '')}: {one.get('details', '')}" for one in errors)
