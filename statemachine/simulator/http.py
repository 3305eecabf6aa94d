"""A request and a response of a simulated server, without a socket."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


class Request(NamedTuple):
    """One HTTP request; `path` is decoded and has no query."""

    method: str
    path: str
    query: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""
    headers: Mapping[str, str] = MappingProxyType({})

    def json(self) -> Any:
        return json.loads(self.body)


class Response(NamedTuple):
    """One HTTP response. `content_type` is None for an empty body, as with aiohttp."""

    status: int
    content_type: str | None
    body: bytes


def json_response(value: Any, status: int = HTTPStatus.OK) -> Response:
    """Respond with `json.dumps`, as aiohttp does, so that lengths match ComfyUI's."""
    return Response(int(status), JSON, json.dumps(value).encode())


def text_response(text: str, content_type: str = TEXT, status: int = HTTPStatus.OK) -> Response:
    return Response(int(status), content_type, text.encode())
