"""The whole daemon over simulated servers, heard as a reader of its event stream hears it."""

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
    """The transitions so far, each with the moment (`time.monotonic`) at which it was read from the stream."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._told: list[tuple[float, Json]] = []
        self._more = asyncio.Event()

    async def listen(self) -> None:
        """Until the daemon ends."""
        with suppress(aiohttp.ClientError):
            async with self._session.get("/api/events?since=0") as stream:
                async for line in stream.content:
                    told = json.loads(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
                    if told.get("to"):
                        self._told.append((time.monotonic(), told))
                        self._more.set()

    @property
    def length(self) -> int:
        """How many transitions have been told: a mark for `reached`. Those of earlier daemons count too."""
        return len(self._told)

    async def reached(self, state: str, since: int = 0, server: str | None = None) -> tuple[float, Json]:
        """When the first transition into that state after the mark was heard, and what it said."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for at, told in self._told[since:]:
                        if told["to"] == state and server in (None, told["server"]):
                            return at, told
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError as error:
            shown = [(one["to"], one["reason"], one["message"]) for _, one in self._told[since:]]
            raise AssertionError(f"{state} is not reached: {shown}") from error

    async def detail(self, server: str) -> Json:
        """All that the API says of one server."""
        async with self._session.get(f"/api/servers/{server}") as response:
            answer: Json = await response.json()
            return answer


@asynccontextmanager
async def daemon(folder: Path, servers: Sequence[str | Json], **settings: Any) -> AsyncIterator[EventRecorder]:
    """A daemon over these servers."""
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
