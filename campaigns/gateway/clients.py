"""Clients that post prompts without pause, and follow each to its end as a careful client does."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import uuid4

import aiohttp

from campaigns.gateway.fleet import Fleet, Json

MOST_OPEN = 120
"""Prompts that wait or run at a time."""
REPEAT_S = 1.0
"""Pause before a POST without answer is repeated at the other gateway."""
POLL_S = 0.25
REQUEST_S = 60.0
DEADLINE_S = 150.0
OK, CONFLICT, TOO_MANY, LOST, UNAVAILABLE, IN_DOUBT = 200, 409, 429, 502, 503, 504
GONE = aiohttp.ClientError, TimeoutError, OSError


class End(StrEnum):
    """What a client has learned of a prompt."""

    SUCCEEDED = "succeeded"
    FAILED = "failed with an error of the server"
    LOST = "lost, with an error"
    NONE = "nothing"


@dataclass
class Followed:
    """One prompt. `repeats` counts POSTs that followed one without answer."""

    prompt_id: str
    end: End = End.NONE
    repeats: int = 0
    wrong: str = ""
    file_gone: bool = False


class Clients:
    """Post a prompt every `interval_s`, to the gateways in turn."""

    def __init__(self, fleet: Fleet, addresses: Sequence[str], interval_s: float) -> None:
        self._fleet = fleet
        self._addresses = addresses
        self._interval_s = interval_s
        self._tasks: set[asyncio.Task[None]] = set()
        self.followed: list[Followed] = []
        self.accepted = 0

    async def post(self) -> None:
        """Post until cancelled."""
        timeout = aiohttp.ClientTimeout(REQUEST_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            try:
                while True:
                    await asyncio.sleep(self._interval_s)
                    if len(self._tasks) < MOST_OPEN:
                        self._begin(session)
            except asyncio.CancelledError:
                await asyncio.gather(*self._tasks)

    def _begin(self, session: aiohttp.ClientSession) -> None:
        one = Followed(str(uuid4()))
        at = len(self.followed)
        self.followed.append(one)
        task = asyncio.create_task(self._follow(session, one, at))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, session: aiohttp.ClientSession, one: Followed, at: int) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                address = await self._post(session, one, at)
                if address is not None:
                    await self._until_end(session, one, address)
        except TimeoutError:
            one.wrong = f"no end after {DEADLINE_S:.0f} s"

    async def _post(self, session: aiohttp.ClientSession, one: Followed, at: int) -> str | None:
        """Post until a gateway answers; return the one to ask for the end, None if the end is known."""
        body = {"prompt": self._fleet.graph(one.prompt_id), "prompt_id": one.prompt_id}
        while True:
            address = self._addresses[at % len(self._addresses)]
            try:
                async with session.post(f"{address}/prompt", json=body) as response:
                    status, answer = response.status, await response.text()
            except aiohttp.ClientConnectorError:
                at += 1
            except GONE:
                one.repeats += 1
                at += 1
            else:
                if status in {OK, CONFLICT, IN_DOUBT}:
                    self.accepted += status == OK
                    return address
                if status == LOST:
                    one.end = End.LOST
                    return None
                if status not in {TOO_MANY, UNAVAILABLE}:
                    one.wrong = f"POST answered with {status} {answer:.300}"
                    return None
            await asyncio.sleep(REPEAT_S)

    async def _until_end(self, session: aiohttp.ClientSession, one: Followed, address: str) -> None:
        entry = (await self._read(session, f"{address}/history/{one.prompt_id}", lambda found: one.prompt_id in found))[
            one.prompt_id
        ]
        if entry["status"]["status_str"] != "success":
            kinds = [
                data.get("exception_type") for kind, data in entry["status"]["messages"] if kind == "execution_error"
            ]
            one.end = End.LOST if kinds == ["PromptLost"] else End.FAILED
            return
        one.end = End.SUCCEEDED
        await self._view(session, one, address, entry)

    async def _view(self, session: aiohttp.ClientSession, one: Followed, address: str, entry: Json) -> None:
        """Read the file of the prompt; a simulated server that was killed has lost it."""
        (image,) = next(iter(entry["outputs"].values()))["images"]
        try:
            async with session.get(f"{address}/view", params=image) as response:
                content = await response.read() if response.status == OK else None
        except GONE:
            content = None
        one.file_gone = content is None
        if content is not None and not self._fleet.is_right(one.prompt_id, content):
            one.wrong = f"another file: {content[:40]!r}"

    async def _read(self, session: aiohttp.ClientSession, url: str, holds: Callable[[Any], bool]) -> Any:
        """Read until the JSON satisfies `holds`; the gateway or the server may be away meanwhile."""
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == OK and holds(found := await response.json()):
                        return found
            except GONE:
                pass
            await asyncio.sleep(POLL_S)
