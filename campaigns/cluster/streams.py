"""Read the nodes' streams, which have entries with and without a number."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from campaigns.cluster.nodes import Node
from campaigns.kill.readers import LINE_LIMIT

Entry = dict[str, Any]
FIELDS = ("at", "event", "server", "group", "from", "to", "reason", "proved_by", "prompt_id", "message")


def without_number(entry: Entry) -> tuple[Any, ...]:
    """Return an entry without its number."""
    return tuple(entry[field] for field in FIELDS)


@asynccontextmanager
async def listening(nodes: Iterable[Node]) -> AsyncIterator[dict[str, list[Entry]]]:
    """Collect the entries of each node's stream within the block: node → entries."""
    received: dict[str, list[Entry]] = {node.name: [] for node in nodes}
    tasks = [asyncio.create_task(_listen(node.address, "", received[node.name])) for node in nodes]
    try:
        yield received
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def replayed(node: Node, up_to: int, within_s: float) -> list[Entry]:
    """Return the entries of /api/events?since=0 up to a number."""
    received: list[Entry] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await _listen(node.address, "?since=0", received, up_to)
    return [entry for entry in received if entry["id"] is not None and entry["id"] <= up_to]


async def all_entries(node: Node) -> list[Entry]:
    """Return the whole log of a node, oldest first."""
    entries: list[Entry] = []
    page = await node.get("/api/log?limit=1000")
    entries += page["entries"]
    while page["next"] is not None:
        page = await node.get(f"/api/log?limit=1000&before={page['next']}")
        entries += page["entries"]
    return entries[::-1]


async def _listen(address: str, query: str, received: list[Entry], up_to: int | None = None) -> None:
    timeout = aiohttp.ClientTimeout(total=None, connect=5)
    async with (
        aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_LIMIT) as session,
        session.get(f"{address}/api/events{query}") as response,
    ):
        async for line in response.content:
            if not line.startswith(b"data: "):
                continue
            data = json.loads(line.removeprefix(b"data: "))
            if "event" in data:
                received.append(data)
            if up_to is not None and (data.get("id") or 0) >= up_to:
                return
