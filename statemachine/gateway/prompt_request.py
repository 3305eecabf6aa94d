"""A POST /prompt of a client as the gateway reads it, its record, and its fair place in a queue."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from statemachine.gateway.errors import bad_request
from statemachine.gateway.json_text import dumps
from statemachine.gateway.records import MAX_KEPT, PromptRecord

CREDENTIALS = ("auth_token_comfy_org", "api_key_comfy_org")
"""Keys of extra_data that ComfyUI does not show in its queue (`SENSITIVE_EXTRA_DATA_KEYS` in its execution.py)."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """A POST /prompt of a client. `body` is what it sent."""

    client: str
    body: Json
    graph: Json
    prompt_id: str
    client_id: str | None
    digest: str

    @property
    def is_id_chosen(self) -> bool:
        """Whether the client has chosen the id, so that it may repeat a POST that another gateway has sent."""
        return self.body.get("prompt_id") is not None


def read_request(client: str, body: object) -> PromptRequest:
    """Return the request of a JSON body. Raises GatewayError."""
    if not isinstance(body, dict):
        raise bad_request("invalid_prompt", "the body is not a JSON object")
    graph = body.get("prompt")
    if not isinstance(graph, dict):
        raise bad_request("no_prompt", "No prompt provided: `prompt` is missing or not an object in API format")
    if not isinstance(body.get("extra_data") or {}, dict):
        raise bad_request("invalid_prompt", "`extra_data` is not an object")
    client_id = body.get("client_id")
    digest = sha256(dumps(graph)).hexdigest()
    return PromptRequest(client, body, graph, _prompt_id(body), None if client_id is None else str(client_id), digest)


def _prompt_id(body: Mapping[str, Any]) -> str:
    given = body.get("prompt_id")
    if given is None:
        return str(uuid4())
    try:
        if isinstance(given, str) and str(UUID(given)) == given:
            return given
    except ValueError:
        pass
    raise bad_request("invalid_prompt_id", "prompt_id must be a UUID in canonical lower-case form, or be omitted")


def new_record(request: PromptRequest) -> PromptRecord:
    """Return the record of a prompt that no server has yet."""
    node_id, node = next(iter(request.graph.items()), ("", {}))
    node_type = str(node.get("class_type", "")) if isinstance(node, dict) else ""
    return PromptRecord(
        request.prompt_id,
        request.client,
        request.client_id,
        "",
        request.digest,
        time.time(),
        (node_id, node_type),
        credentials=_credentials(request.body.get("extra_data")),
    )


def _credentials(extra_data: object) -> dict[str, str]:
    found = extra_data if isinstance(extra_data, dict) else {}
    return {key: value for key in CREDENTIALS if isinstance(value := found.get(key), str) and len(value) <= MAX_KEPT}


def fair_number(waiting: Iterable[PromptRecord], client: str) -> float | None:
    """Return the queue number of a client's next prompt, None for the end of the queue.

    The nth prompt of a client comes before the prompts of others that are more than their nth. ComfyUI runs lower
    numbers first. Prompts that were not sent by this gateway keep their places.
    """
    rounds: Counter[str] = Counter()
    in_order = sorted(waiting, key=lambda one: one.number)
    own = sum(record.client == client for record in in_order)
    before: float | None = None
    for record in in_order:
        if rounds[record.client] > own and before is not None:
            return (before + record.number) / 2
        rounds[record.client] += 1
        before = record.number
    return None
