"""A request and a response of a simulated server, without a socket."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


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
