"""What the handlers of prompts share: questions to servers, and the forms of requests and answers."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from statemachine.gateway.errors import JSON, GatewayError, bad_request
from statemachine.gateway.finder import EXTRA_DATA
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.json_text import dumps
from statemachine.gateway.tracking import queue_items
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream

MAX_LISTED = 200
"""Entries of one answer."""
AT_A_TIME = 8


async def available(asking: Any) -> Any:
    """Return the answer. Raises GatewayError if none came."""
    try:
        return await asking
    except (NotSentError, NoAnswerError) as error:
        raise unavailable(error) from error


def unavailable(error: Exception) -> GatewayError:
    """Return the error for a server that did not answer."""
    return GatewayError(HTTPStatus.BAD_GATEWAY, "server_unavailable", str(error))


async def each(arguments: Iterable[Any], ask: Any) -> list[Any]:
    """Return the answers that are not None, a few questions at a time."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(argument: Any) -> Any:
        async with places:
            return await ask(argument)

    return [found for found in await asyncio.gather(*map(one, arguments)) if found is not None]


async def post_to(view: FleetView, upstream: Upstream, name: str, path: str, body: dict[str, Any]) -> None:
    """Send a POST to a server. Raises GatewayError if it does not answer."""
    if (server := view.get(name)) is not None:
        await available(upstream.post(server.config, path, dumps(body)))


async def queue_of(view: FleetView, upstream: Upstream, name: str) -> tuple[list[Any], list[Any]]:
    """Return the running and the waiting prompts of a server. Raises GatewayError if it does not answer."""
    server = view.get(name)
    listing = await available(upstream.json(server.config, "/queue")) if server is not None else None
    if listing is None or not queue_items(listing):
        return [], []
    running, pending = (
        [item for item in listing[part] if is_item(item)] for part in ("queue_running", "queue_pending")
    )
    return running, pending


def is_item(item: object) -> bool:
    """Return whether this is a prompt of a queue, with extra_data."""
    return isinstance(item, list) and len(item) > EXTRA_DATA


def ids_in(value: object) -> list[str]:
    """Return the ids in a request. Raises GatewayError."""
    if not isinstance(value, list) or len(value) > MAX_LISTED:
        raise bad_request("invalid_ids", f"a list of at most {MAX_LISTED} prompt ids is needed")
    return [one for one in value if isinstance(one, str)]


def json_answer(value: Any) -> web.Response:
    """Return the answer with a JSON value."""
    return web.Response(body=dumps(value), content_type=JSON)
