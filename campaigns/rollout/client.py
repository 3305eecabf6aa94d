"""A client that posts prompts through the gateway without pause, and expects every request to succeed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp

from campaigns.rollout.fleet import Fleet, Json

OK = 200
END_S = 180.0
"""How long a prompt may take on a busy machine."""
MOST_OPEN = 8
"""Prompts that wait or run at a time."""
POLL_S = 0.25


class SteadyClient:
    """Posts a prompt every `interval_s` while fewer than MOST_OPEN are open. Nothing is repeated.

    Each is followed by /ws and history, and its file is read.
    """

    def __init__(self, fleet: Fleet, gateway: str, interval_s: float) -> None:
        self.prompts: list[str] = []
        self.problems: list[str] = []
        self.slowest_s = 0.0
        self._fleet = fleet
        self._gateway = gateway
        self._interval_s = interval_s
        self._client_id = str(uuid4())
        self._ended: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def posting(self) -> AsyncIterator[None]:
        """Post within the block; then wait for the end of every prompt."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(END_S)) as session:
            tasks = [asyncio.create_task(work) for work in (self._listen(session), self._post(session))]
            try:
                yield
            finally:
                tasks[1].cancel()
                await asyncio.gather(tasks[1], *self._tasks, return_exceptions=True)
                tasks[0].cancel()
                await asyncio.gather(tasks[0], return_exceptions=True)

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        """Read /ws as ComfyUI's page does. A connection that ends is a problem."""
        async with session.ws_connect(f"{self._gateway}/ws", params={"clientId": self._client_id}) as socket:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._receive(json.loads(frame.data))
        self.problems.append("the gateway closed /ws")

    def _receive(self, event: Json) -> None:
        data = event.get("data", {})
        if event.get("type") in {"execution_success", "execution_error", "execution_interrupted"}:
            self._ended.setdefault(data["prompt_id"], asyncio.Event()).set()

    async def _post(self, session: aiohttp.ClientSession) -> None:
        while True:
            if len(self._tasks) < MOST_OPEN:
                self._begin(session)
            await asyncio.sleep(self._interval_s)

    def _begin(self, session: aiohttp.ClientSession) -> None:
        prompt_id = str(uuid4())
        self.prompts.append(prompt_id)
        task = asyncio.create_task(self._follow(session, prompt_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, session: aiohttp.ClientSession, prompt_id: str) -> None:
        started = time.monotonic()
        try:
            async with asyncio.timeout(END_S):
                await self._run(session, prompt_id)
        except (aiohttp.ClientError, TimeoutError, OSError, LookupError) as error:
            self.problems.append(f"prompt {prompt_id}: {error!r:.300}")
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)

    async def _run(self, session: aiohttp.ClientSession, prompt_id: str) -> None:
        body = {"prompt": self._fleet.graph(prompt_id), "prompt_id": prompt_id, "client_id": self._client_id}
        async with session.post(f"{self._gateway}/prompt", json=body) as response:
            if response.status != OK:
                self.problems.append(f"POST /prompt: {response.status} {await response.text():.300}")
                return
        await self._ended.setdefault(prompt_id, asyncio.Event()).wait()
        entry = await self._entry(session, prompt_id)
        if entry["status"]["status_str"] != "success":
            self.problems.append(f"prompt {prompt_id} ended with {entry['status']['messages'][-1]!s:.300}")
            return
        (image,) = next(iter(entry["outputs"].values()))["images"]
        async with session.get(f"{self._gateway}/view", params=image) as response:
            if response.status != OK or not self._fleet.is_right(prompt_id, await response.read()):
                self.problems.append(f"the file of prompt {prompt_id}: {response.status}, or another content")

    async def _entry(self, session: aiohttp.ClientSession, prompt_id: str) -> Json:
        """Return the history entry, which may come shortly after the frame."""
        while True:
            async with session.get(f"{self._gateway}/history/{prompt_id}") as response:
                if response.status != OK:
                    raise LookupError(f"GET /history: {response.status} {await response.text():.300}")
                found = await response.json()
            if prompt_id in found:
                entry: Json = found[prompt_id]
                return entry
            await asyncio.sleep(POLL_S)
