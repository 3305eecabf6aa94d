"""What tests ask a real server, apart from comfywarm's own client, which is what they test."""

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
    """A server did not do what the rig needs of it; the text carries the end of its log."""


class Client:
    """Requests to one server at `url`; `log` is the file with all that it said, over all its starts."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self.log = log

    async def get(self, path: str) -> Any:
        """The JSON, or else the text, of a GET. Raises RigError unless the status is 200."""
        return await self._ask("GET", path, None)

    async def post(self, path: str, body: object) -> Any:
        """The JSON, or else the text, of a POST. Raises RigError unless the status is 200."""
        return await self._ask("POST", path, body)

    async def submit(self, graph: Graph, **fields: object) -> str:
        """POST /prompt as some user (`fields`: client_id, prompt_id, front …). Returns the prompt_id."""
        reply = await self.post("/prompt", {"prompt": graph, **fields})
        return str(reply["prompt_id"])

    async def history(self) -> dict[str, Any]:
        """What ran to its end, by prompt_id, oldest first: `{id: {prompt, outputs, status, meta}}`."""
        answer: dict[str, Any] = await self.get("/history")
        return answer

    async def queue(self) -> dict[str, list[Any]]:
        """`{queue_running, queue_pending}`, items `[number, prompt_id, graph, extra_data, outputs]`."""
        answer: dict[str, list[Any]] = await self.get("/queue")
        return answer

    async def idle(self, timeout_s: float = 30.0) -> None:
        """Wait until nothing runs and nothing is pending. Raises RigError when that takes too long."""
        give_up = time.monotonic() + timeout_s
        while any((await self.queue()).values()):
            if time.monotonic() > give_up:
                raise self.error(f"still busy after {timeout_s:g} s")
            await asyncio.sleep(POLL_S)

    async def check(self) -> str:
        """The text of the mission's cache check; it has its side effect in the manner `starts`."""
        return str(await self.get("/cache/check"))

    async def cached_keys(self) -> list[str]:
        """What is cached, asked by a route of the rig's own that has no side effect."""
        return list((await self.get("/rig/state"))["keys"])

    async def checks_asked(self) -> int:
        """How many times GET /cache/check was called since the start."""
        return int((await self.get("/rig/state"))["checks"])

    async def self_started(self) -> list[str]:
        """The prompt_ids that the server submitted to itself since the start."""
        return list((await self.get("/rig/state"))["started"])

    async def clear_keys(self, *keys: str) -> None:
        """The trap: drop these keys, or all, while the executor still holds the nodes that put them there."""
        await self.post("/rig/drop", {"keys": list(keys) or await self.cached_keys()})

    def error(self, what: str) -> RigError:
        """What went wrong with this server, with the end of its log."""
        return RigError(f"{self.url}: {what}\n{self.log_tail()}")

    def log_tail(self) -> str:
        if not self.log.exists():
            return "(no log)"
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"The last lines of {self.log}:", *lines])

    async def _ask(self, method: str, path: str, body: object) -> Any:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, self.url + path, json=body) as response,
        ):
            text = await response.text()
            if response.status != 200:
                raise self.error(f"{method} {path} gave {response.status} {text}")
            return json.loads(text) if response.content_type == "application/json" else text
