"""The bus delivers in order, and no reader delays another."""

import asyncio

import pytest

from statemachine.core.log_entry import LogFilter
from statemachine.publish.bus import QUEUE_LIMIT, Bus
from statemachine.publish.serialize import StreamMessage, Topic
from tests.publish.test_serialize import WARMING


def message(number: int, server: str | None = "a") -> StreamMessage:
    return StreamMessage(Topic.TRANSITION, lambda: {"number": number}, number, server)


async def test_reader_receives_messages_since_its_subscription() -> None:
    bus = Bus()
    bus.publish(message(0))
    early, late = bus.subscribe(), None
    for number in range(1, 5):
        bus.publish(message(number))
        late = late or bus.subscribe()
    assert [one.seq for one in await early.take()] == [1, 2, 3, 4]
    assert late is not None
    assert [one.seq for one in await late.take()] == [2, 3, 4]


async def test_take_waits_for_message() -> None:
    bus = Bus()
    reader = bus.subscribe()
    waiting = asyncio.ensure_future(reader.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    bus.publish(message(1))
    assert [one.seq for one in await waiting] == [1]
    bus.publish(message(2))
    assert [one.seq for one in await reader.take()] == [2]


async def test_reader_with_filter_receives_matching_messages() -> None:
    bus = Bus()
    reader = bus.subscribe(LogFilter(servers=frozenset({"b"})))
    for number, server in enumerate(["a", "b", None, "b"]):
        bus.publish(message(number, server))
    assert [one.seq for one in await reader.take()] == [1, 3]


async def test_slow_reader_overflows_alone() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(), bus.subscribe()
    received = 0
    for number in range(QUEUE_LIMIT + 1):
        bus.publish(message(number))
        if number % 100 == 99:
            received += len(await quick.take())
    assert slow.overflowed
    assert not quick.overflowed
    assert await slow.take() == []
    assert received + len(await quick.take()) == QUEUE_LIMIT + 1


async def test_full_queue_is_delivered_completely() -> None:
    bus = Bus()
    reader = bus.subscribe()
    for number in range(QUEUE_LIMIT):
        bus.publish(message(number))
    assert not reader.overflowed
    assert [one.seq for one in await reader.take()] == list(range(QUEUE_LIMIT))


async def test_reader_after_overflow_receives_nothing() -> None:
    bus = Bus()
    reader = bus.subscribe()
    for number in range(QUEUE_LIMIT + 50):
        bus.publish(message(number))
    assert await reader.take() == []


async def test_reader_after_unsubscribe_receives_nothing() -> None:
    bus = Bus()
    reader = bus.subscribe()
    assert len(bus) == 1
    bus.unsubscribe(reader)
    bus.unsubscribe(reader)
    assert len(bus) == 0
    bus.publish(message(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await reader.take()


def test_topics_are_documented_event_names() -> None:
    assert [topic.value for topic in Topic] == ["transition", "progress", "notice"]


async def test_listener_receives_every_message_immediately() -> None:
    bus = Bus()
    received: list[StreamMessage] = []
    bus.add_listener(received.append)
    for number in range(QUEUE_LIMIT + 1):
        bus.publish(message(number, None))
    assert [one.seq for one in received] == list(range(QUEUE_LIMIT + 1))
    assert len(bus) == 0


async def test_live_figures_are_sent_to_readers_only() -> None:
    bus, received = Bus(), list[StreamMessage]()
    bus.add_listener(received.append)
    bus.publish_live(WARMING.name, lambda: WARMING)
    readers = [bus.subscribe(), bus.subscribe()]
    bus.publish_live(WARMING.name, lambda: WARMING)
    (one,), (other,) = [await reader.take() for reader in readers]
    assert one is other
    assert received == []
