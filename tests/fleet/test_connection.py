"""Which frames of a /ws connection count before its first `status` frame."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from statemachine.comfyui.transport import Receive, Report
from statemachine.core import events
from statemachine.fleet.connection import keep_link
from statemachine.fleet.context import ServerContext
from statemachine.settings.model import Timing

STATUS = json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}})
CHANGE = json.dumps({
    "type": "comfywarm.cache",
    "data": {"comfywarm": 1, "instance": "a", "sequence": 12, "change": "cleared", "present": []},
})  # fmt: skip
ENDED = json.dumps({"type": "execution_success", "data": {"prompt_id": "ours"}})


class FakeSocket:
    """Delivers frames, and then waits until it is cancelled."""

    def __init__(self, frames: list[str]) -> None:
        self.frames, self.delivered = frames, asyncio.Event()

    async def listen(self, receive: Receive, report: Report) -> None:
        for frame in self.frames:
            receive(frame)
        self.delivered.set()
        await asyncio.Event().wait()

    def hide(self, text: str) -> str:
        return text

    async def close(self) -> None:
        """Do nothing."""


async def posted(frames: list[str]) -> list[type[Any]]:
    """Return the types of the events that the frames of one connection cause."""
    seen: list[events.Event] = []
    socket = FakeSocket(frames)

    async def connect(_: str) -> FakeSocket:
        return socket

    context = SimpleNamespace(
        fleet=SimpleNamespace(
            clock=SimpleNamespace(new_id=lambda: "id", now=lambda: 0.0), settings=SimpleNamespace(timing=Timing())
        ),
        transport=SimpleNamespace(connect=connect),
        server=SimpleNamespace(open_attempt=None, client_id=None),
        detail=SimpleNamespace(link=SimpleNamespace(connects=0)),
        check=SimpleNamespace(forget_cache_mode=lambda: None),
        client=SimpleNamespace(forget_offers=lambda: None),
        returns=0,
        post=seen.append,
    )
    task = asyncio.create_task(keep_link(cast(ServerContext, context)))
    await socket.delivered.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return [type(event) for event in seen]


OPENED = [events.LinkOpened, events.QueueSeen]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([CHANGE], [events.CacheReported]),
        ([CHANGE, STATUS], [events.CacheReported, *OPENED]),
        ([STATUS, CHANGE], [*OPENED, events.CacheReported]),
        ([ENDED, STATUS], OPENED),
        (["not json"], []),
    ],
)
async def test_change_counts_although_first_status_was_lost(frames: list[str], expected: list[type[Any]]) -> None:
    assert await posted(frames) == expected
