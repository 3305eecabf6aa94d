"""An HTTP client for real servers that shares no code with comfywarm's client, which is under test."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import aiohttp

REQUEST_TIMEOUT_S = 15.0
POLL_S = 0.1
LOG_TAIL_LINES = 40

Graph = dict[str, dict[str, Any]]
"""A workflow in ComfyUI's API format."""


class RigError(Exception):
    """A server failed to do what a test needs. The text includes the end of the server's log."""


class RigClient:
    """Requests to one server at `url`, whose certificate is not verified. `log` has its output over all starts."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    async def get(self, path: str) -> Any:
        """Return the JSON or text that a GET brings. Raises RigError unless the status is 200."""
        return await self._request("GET", path, None)

    async def post(self, path: str, body: object) -> Any:
        """Return the JSON or text that a POST brings. Raises RigError unless the status is 200."""
        return await self._request("POST", path, body)

    async def submit(self, graph: Graph, **fields: object) -> str:
        """Submit a graph as a user would, and return its prompt_id. `fields`: client_id, prompt_id, front, …"""
        reply = await self.post("/prompt", {"prompt": graph, **fields})
        return str(reply["prompt_id"])

    async def accepts(self, graph: Graph) -> bool:
        """Submit a graph and return whether the server queued all of it."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)) as session,
            session.post(f"{self.url}/prompt", json={"prompt": graph}, ssl=False) as response,
        ):
            return response.status == 200 and not (await response.json())["node_errors"]

    async def run(self, graph: Graph) -> dict[str, Any]:
        """Submit a graph, wait until the queue is empty and return its history entry."""
        prompt_id = await self.submit(graph)
        await self.wait_idle()
        entry: dict[str, Any] = (await self.history())[prompt_id]
        return entry

    async def history(self) -> dict[str, Any]:
        """Return the prompts that ended, by prompt_id, oldest first: `{id: {prompt, outputs, status, meta}}`."""
        answer: dict[str, Any] = await self.get("/history")
        return answer

    async def queue(self) -> dict[str, list[Any]]:
        """Return `{queue_running, queue_pending}`; items are `[number, prompt_id, graph, extra_data, outputs]`."""
        answer: dict[str, list[Any]] = await self.get("/queue")
        return answer

    async def wait_idle(self, timeout_s: float = 30.0) -> None:
        """Wait until no prompt is running or pending. Raises RigError after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while any((await self.queue()).values()):
            if time.monotonic() > deadline:
                raise self.error(f"still busy after {timeout_s:g} s")
            await asyncio.sleep(POLL_S)

    async def check(self) -> str:
        """Return the text of the cache check, which starts the server's workflow with CheckMode.START."""
        return str(await self.get("/cache/check"))

    async def cached_keys(self) -> list[str]:
        """Return the cached keys, from a route of the rig that has no side effect."""
        return list((await self.get("/rig/state"))["keys"])

    async def check_count(self) -> int:
        """Return the number of GET /cache/check requests since the start."""
        return int((await self.get("/rig/state"))["checks"])

    async def self_started(self) -> list[str]:
        """Return the ids of the prompts that the server itself has submitted since the start."""
        return list((await self.get("/rig/state"))["started"])

    async def clear_keys(self, *keys: str) -> None:
        """Drop these keys, by default all, while the executor still caches their nodes.

        See "Success without loading" in docs/comfyui.md.
        """
        await self.post("/rig/drop", {"keys": list(keys) or await self.cached_keys()})

    def error(self, what: str) -> RigError:
        """Return an error about this server that includes the end of its log."""
        return RigError(f"{self.url}: {what}\n{self.log_tail()}")

    def log_tail(self) -> str:
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"The last lines of {self.log}:", *lines])

    async def _request(self, method: str, path: str, body: object) -> Any:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.url + path, json=body, ssl=False) as response,
        ):
            text = await response.text()
            if response.status != 200:
                raise self.error(f"{method} {path}: HTTP {response.status} {text}")
            return json.loads(text) if response.content_type == "application/json" else text
