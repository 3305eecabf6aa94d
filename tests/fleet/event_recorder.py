"""Run a daemon over simulated servers, and record its event stream."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.daemon import Json, daemon_in_process
from tests.support.polling import PATIENCE_S


class EventRecorder:
    """Record the transitions of the event stream, each with its time of arrival (`time.monotonic`)."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._received: list[tuple[float, Json]] = []
        self._more = asyncio.Event()

    async def listen(self) -> None:
        """Read the stream until the daemon stops."""
        with suppress(aiohttp.ClientError):
            async with self._session.get("/api/events?since=0") as stream:
                async for line in stream.content:
                    event = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                    if event.get("to"):
                        self._received.append((time.monotonic(), event))
                        self._more.set()

    @property
    def length(self) -> int:
        """The number of transitions received, those of earlier daemons included; a mark for `reached`."""
        return len(self._received)

    async def reached(self, state: str, since: int = 0, server: str | None = None) -> tuple[float, Json]:
        """Wait for the first transition into the state after the mark; return its arrival and its data."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for at, event in self._received[since:]:
                        if event["to"] == state and server in (None, event["server"]):
                            return at, event
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError as error:
            shown = [(one["to"], one["reason"], one["message"]) for _, one in self._received[since:]]
            raise AssertionError(f"{state} was not reached: {shown}") from error

    async def detail(self, server: str) -> Json:
        """Return the API's details of one server."""
        async with self._session.get(f"/api/servers/{server}") as response:
            answer: Json = await response.json()
            return answer


@asynccontextmanager
async def daemon(folder: Path, servers: Sequence[str | Json], **settings: Any) -> AsyncIterator[EventRecorder]:
    """Run a daemon over these servers."""
    async with (
        daemon_in_process(folder, {"servers": servers, **settings}) as running,
        aiohttp.ClientSession(running.address, timeout=aiohttp.ClientTimeout(total=None)) as session,
    ):
        recorder = EventRecorder(session)
        listening = asyncio.create_task(recorder.listen())
        try:
            yield recorder
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
