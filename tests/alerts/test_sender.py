"""A sender in virtual time: retries, rate limit and shutdown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.queue import NotificationQueue, RateLimit
from statemachine.alerts.sender import MAX_ATTEMPTS, Delivery, Sender
from tests.alerts.harness import Recorder, clock, refusal, server_error
from tests.alerts.samples import announcement

pytestmark = pytest.mark.looptime

WIDE = RateLimit(100, 60)


class SenderHarness:
    """A sender, and the outcomes of its announcements."""

    def __init__(self, recorder: Recorder, limit: RateLimit) -> None:
        self.recorder = recorder
        self.outcomes: list[tuple[str, Delivery]] = []
        self.sender = Sender("ops", recorder, NotificationQueue(limit), "en", clock(), self.on_delivery)

    def on_delivery(self, channel: str, one: Announcement, outcome: Delivery) -> None:
        assert channel == "ops"
        self.outcomes.append((one.id, outcome))


@asynccontextmanager
async def running_sender(*failures: Exception, limit: RateLimit = WIDE) -> AsyncIterator[SenderHarness]:
    made = SenderHarness(Recorder(*failures), limit)
    task = asyncio.get_running_loop().create_task(made.sender.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def logged() -> AsyncIterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), format="{level} {message}")
    yield lines
    logger.remove(sink)


async def test_sender_sends_in_order() -> None:
    async with running_sender() as harness:
        for number in range(3):
            harness.sender.put(announcement(number))
        await asyncio.sleep(1)
        assert [notification.id for _, notification in harness.recorder.notifications] == ["id0", "id1", "id2"]
        assert harness.outcomes == [(f"id{number}", Delivery.SENT) for number in range(3)]


async def test_sender_retries_with_growing_pauses() -> None:
    async with running_sender(*[server_error() for _ in range(4)]) as harness, logged() as lines:
        harness.sender.put(announcement())
        await asyncio.sleep(200)
    assert harness.recorder.attempts == [0, 5, 15, 35, 75]
    assert harness.outcomes == [("id1", Delivery.SENT)]
    assert lines[0] == "WARNING cannot send an alert on channel ops (HTTP 500); retrying in 5 s\n"


async def test_sender_gives_up_after_all_attempts_and_logs() -> None:
    async with running_sender(*[server_error() for _ in range(MAX_ATTEMPTS)]) as harness, logged() as lines:
        harness.sender.put(announcement(1))
        harness.sender.put(announcement(2))
        await asyncio.sleep(4 * 3600)
    assert harness.outcomes == [("id1", Delivery.FAILED), ("id2", Delivery.SENT)]
    assert len(harness.recorder.attempts) == MAX_ATTEMPTS + 1
    assert lines[-1].startswith("ERROR failed to send an alert on channel ops (HTTP 500): comfywarm: 1 server failed")


async def test_sender_does_not_retry_final_error() -> None:
    async with running_sender(refusal()) as harness:
        harness.sender.put(announcement())
        await asyncio.sleep(3600)
    assert (harness.recorder.attempts, harness.outcomes) == ([0], [("id1", Delivery.FAILED)])


async def test_sender_retries_internal_error_without_logging_its_text() -> None:
    async with running_sender(ValueError("https://example.com/TOKEN")) as harness, logged() as lines:
        harness.sender.put(announcement())
        await asyncio.sleep(60)
    assert harness.outcomes == [("id1", Delivery.SENT)]
    assert "TOKEN" not in "".join(lines)
    assert "ValueError" in "".join(lines)


async def test_sender_over_rate_limit_sends_digest() -> None:
    async with running_sender(limit=RateLimit(3, 600)) as harness:
        for number in range(20):
            harness.sender.put(announcement(number))
        await asyncio.sleep(599)
        assert [when for when, _ in harness.recorder.notifications] == [0, 0, 0]
        assert harness.recorder.titles[-1].startswith("comfywarm: 18 alerts in one message")
        harness.sender.put(announcement(20))
        await asyncio.sleep(2)
        assert len(harness.recorder.notifications) == 4
    assert [one for one, _ in harness.outcomes] == [f"id{number}" for number in range(21)]
    assert [outcome for _, outcome in harness.outcomes].count(Delivery.DIGESTED) == 18


async def test_sender_finish_retries_once() -> None:
    async with running_sender(server_error()) as harness:
        harness.sender.put(announcement(1))
        harness.sender.put(announcement(2))
        await asyncio.sleep(1)
        harness.sender.finish()
        await asyncio.sleep(0.1)
        assert harness.outcomes == [("id1", Delivery.SENT), ("id2", Delivery.SENT)]
        assert harness.recorder.attempts == [0, 1, 1]


async def test_sender_finish_with_failing_channel_drops() -> None:
    async with running_sender(*[server_error() for _ in range(9)]) as harness, logged() as lines:
        harness.sender.put(announcement(1))
        await asyncio.sleep(1)
        harness.sender.finish()
        await asyncio.sleep(0.1)
    assert harness.outcomes == [("id1", Delivery.DROPPED)]
    assert lines[-1].startswith("ERROR an alert was not sent on channel ops before the daemon stopped")


async def test_sender_reclaim_returns_unsent_announcements() -> None:
    async with running_sender() as harness:
        harness.recorder.hangs = True
        for number in range(3):
            harness.sender.put(announcement(number))
        await asyncio.sleep(1)
        assert [one.id for one in harness.sender.reclaim().take_all().announcements] == ["id0", "id1", "id2"]
