"""One address in virtual time: retries, their end, the limit, and the end of the daemon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.queue import Limit, NotificationQueue
from statemachine.alerts.sender import ATTEMPTS, Delivery, Sender
from tests.alerts.harness import Recorder, refusal, server_error, world
from tests.alerts.samples import announcement

pytestmark = pytest.mark.looptime

WIDE = Limit(100, 60)


class Street:
    """A lane and what became of its announcements."""

    def __init__(self, recorder: Recorder, limit: Limit) -> None:
        self.recorder = recorder
        self.outcomes: list[tuple[str, Delivery]] = []
        self.lane = Sender("ops", recorder, NotificationQueue(limit), "en", world(), self.ended)

    def ended(self, channel: str, one: Announcement, outcome: Delivery) -> None:
        assert channel == "ops"
        self.outcomes.append((one.id, outcome))


@asynccontextmanager
async def street(*failures: Exception, limit: Limit = WIDE) -> AsyncIterator[Street]:
    made = Street(Recorder(*failures), limit)
    task = asyncio.get_running_loop().create_task(made.lane.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def logged() -> AsyncIterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")
    yield lines
    logger.remove(sink)


async def test_messages_go_out_in_order() -> None:
    async with street() as here:
        for number in range(3):
            here.lane.offer(announcement(number))
        await asyncio.sleep(1)
        assert [notification.id for _, notification in here.recorder.notifications] == ["id0", "id1", "id2"]
        assert here.outcomes == [(f"id{number}", Delivery.SENT) for number in range(3)]


async def test_a_failure_is_tried_again_with_growing_pauses() -> None:
    async with street(*[server_error() for _ in range(4)]) as here, logged() as lines:
        here.lane.offer(announcement())
        await asyncio.sleep(200)
    assert here.recorder.tries == [0, 5, 15, 35, 75]
    assert here.outcomes == [("id1", Delivery.SENT)]
    assert lines[0] == "WARNING an alert could not be sent on channel ops (HTTP 500); again in 5 s\n"


async def test_retries_end_and_the_loss_is_told_loudly() -> None:
    async with street(*[server_error() for _ in range(ATTEMPTS)]) as here, logged() as lines:
        here.lane.offer(announcement(1))
        here.lane.offer(announcement(2))
        await asyncio.sleep(4 * 3600)
    assert here.outcomes == [("id1", Delivery.FAILED), ("id2", Delivery.SENT)]
    assert len(here.recorder.tries) == ATTEMPTS + 1
    assert lines[-1].startswith("ERROR alert lost on channel ops (HTTP 500): comfywarm: 1 server failed")


async def test_a_refusal_is_not_tried_again() -> None:
    async with street(refusal()) as here:
        here.lane.offer(announcement())
        await asyncio.sleep(3600)
    assert (here.recorder.tries, here.outcomes) == ([0], [("id1", Delivery.FAILED)])


async def test_a_fault_of_a_channel_is_a_failed_try_and_its_words_are_not_repeated() -> None:
    async with street(ValueError("https://example.com/TOKEN")) as here, logged() as lines:
        here.lane.offer(announcement())
        await asyncio.sleep(60)
    assert here.outcomes == [("id1", Delivery.SENT)]
    assert "TOKEN" not in "".join(lines)
    assert "ValueError" in "".join(lines)


async def test_the_limit_makes_digests_and_nothing_is_lost() -> None:
    async with street(limit=Limit(3, 600)) as here:
        for number in range(20):
            here.lane.offer(announcement(number))
        await asyncio.sleep(599)
        assert [when for when, _ in here.recorder.notifications] == [0, 0, 0]
        assert here.recorder.titles[-1].startswith("comfywarm: 18 alerts in one message")
        here.lane.offer(announcement(20))
        await asyncio.sleep(2)
        assert len(here.recorder.notifications) == 4
    assert [one for one, _ in here.outcomes] == [f"id{number}" for number in range(21)]
    assert [outcome for _, outcome in here.outcomes].count(Delivery.DIGESTED) == 18


async def test_at_the_end_what_waits_for_its_next_try_is_tried_once_more() -> None:
    async with street(server_error()) as here:
        here.lane.offer(announcement(1))
        here.lane.offer(announcement(2))
        await asyncio.sleep(1)
        here.lane.finish()
        await asyncio.sleep(0.1)
        assert here.outcomes == [("id1", Delivery.SENT), ("id2", Delivery.SENT)]
        assert here.recorder.tries == [0, 1, 1]


async def test_at_the_end_nothing_is_tried_for_ever() -> None:
    async with street(*[server_error() for _ in range(9)]) as here, logged() as lines:
        here.lane.offer(announcement(1))
        await asyncio.sleep(1)
        here.lane.finish()
        await asyncio.sleep(0.1)
    assert here.outcomes == [("id1", Delivery.DROPPED)]
    assert lines[-1].startswith("ERROR an alert was not sent on channel ops before the end")


async def test_what_is_in_hand_is_given_back_with_the_rest() -> None:
    async with street() as here:
        here.recorder.hangs = True
        for number in range(3):
            here.lane.offer(announcement(number))
        await asyncio.sleep(1)
        assert [one.id for one in here.lane.take_back().take_all().announcements] == ["id0", "id1", "id2"]
