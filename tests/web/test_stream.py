"""The event stream has no gaps or duplicates while clients join, lag and leave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import orjson
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application
from typing_extensions import override

from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.file import JournalFile
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import QUEUE_LIMIT
from statemachine.publish.serialize import StreamMessage, Topic, progress_message
from statemachine.web.responses import errors_as_json
from statemachine.web.stream import REPLAY_PAGE, EventStream
from tests.support.polling import wait_until
from tests.web.site import COLD, LOADED, Client, Event, Site, next_event, next_events, running_site, transition_entry

T = TypeVar("T")


def messages(events: list[Event]) -> list[tuple[int | None, str]]:
    return [(event.id, orjson.loads(event.data)["message"]) for event in events]


async def test_stream_without_id_starts_at_head(site: Site) -> None:
    head = await site.transition(COLD, "before")
    async with site.client.get("/api/events") as response:
        assert response.content_type == "text/event-stream"
        assert await next_event(response) == Event(head, "", "")
        await site.transition(COLD, "after")
        (event,) = await next_events(response, 1)
    assert (event.id, event.topic) == (head + 1, "transition")
    data = orjson.loads(event.data)
    assert (data["id"], data["message"], data["view"]["name"]) == (head + 1, "after", COLD)


@pytest.mark.parametrize("by_header", [True, False])
async def test_replay_is_followed_by_live_events(site: Site, by_header: bool) -> None:
    for number in range(1, 6):
        await site.transition(COLD, f"m{number}")
    query = {} if by_header else {"since": "2"}
    headers = {"Last-Event-ID": "2"} if by_header else {}
    async with site.client.get("/api/events", params=query, headers=headers) as response:
        replayed = await next_events(response, 3)
        await site.transition(COLD, "m6")
        live = await next_events(response, 1)
    assert messages(replayed + live) == [(3, "m3"), (4, "m4"), (5, "m5"), (6, "m6")]


async def test_last_event_id_overrides_since(site: Site) -> None:
    for number in range(1, 4):
        await site.transition(COLD, f"m{number}")
    async with site.client.get("/api/events?since=0", headers={"Last-Event-ID": "2"}) as response:
        assert messages(await next_events(response, 1)) == [(3, "m3")]


async def test_replay_of_several_pages_is_complete(site: Site) -> None:
    total = 2 * REPLAY_PAGE + 7
    for number in range(total - 1):
        site.journal.append(transition_entry(COLD, str(number)), None)
    await site.transition(COLD, "last")
    async with site.client.get("/api/events?since=0") as response:
        events = await next_events(response, total)
    assert [event.id for event in events] == list(range(1, total + 1))


class MeddlingJournal(Journal[ServerView]):
    """A journal that calls `meddle` before and after each read, while a client is joining."""

    def __init__(self, journal: Journal[ServerView], meddle: Callable[[str], Awaitable[None]]) -> None:
        self._journal = journal
        self._meddle = meddle
        self.file = JournalFile(self.with_store)

    @override
    async def with_store(self, call: Callable[[JournalStore], T]) -> T:
        await self._meddle("before")
        answer = await self._journal.with_store(call)
        await self._meddle("after")
        return answer


async def test_transitions_during_replay_arrive_once_and_in_order(tmp_path: Path) -> None:
    sites: list[Site] = []
    counter = iter(range(1, 100))

    async def meddle(when: str) -> None:
        await sites[0].transition(COLD, f"{when} {next(counter)}")

    async with running_site(tmp_path, wrap=lambda journal: MeddlingJournal(journal, meddle)) as site:
        sites.append(site)
        await site.transition(COLD, "first")
        async with site.client.get("/api/events?since=0") as response:
            # One read returns the head and one replays, with two transitions around each.
            events = await entries_of(response, 5)
            await site.transition(COLD, "last")
            events += await entries_of(response, 1)
    assert [event.id for event in events] == [1, 2, 3, 4, 5, 6]


async def test_last_message_has_the_state_in_spite_of_older_progress(
    tmp_path: Path,
) -> None:
    sites: list[Site] = []

    async def meddle(when: str) -> None:
        if when == "before":
            cold = sites[0].snapshot.get(COLD)
            assert cold is not None
            sites[0].bus.publish(progress_message(cold._replace(state=State.CHECKING)))
            await sites[0].transition(COLD, "to cold")

    async with running_site(tmp_path, wrap=lambda journal: MeddlingJournal(journal, meddle)) as site:
        sites.append(site)
        async with site.client.get("/api/events?since=0") as response:
            await next_events(response, 1)
            await site.transition(LOADED, "the last")
            states: list[str] = []
            while LOADED not in (event := (await next_events(response, 1))[0]).data:
                data = orjson.loads(event.data)
                states.append(data.get("view", data).get("state") or data["to"])
    assert states[-1] == "cold"


async def test_live_stream_sends_everything_after_its_first_id(tmp_path: Path) -> None:
    sites: list[Site] = []

    async def meddle(when: str) -> None:
        await sites[0].transition(COLD, when)

    async with running_site(tmp_path, wrap=lambda journal: MeddlingJournal(journal, meddle)) as site:
        sites.append(site)
        async with site.client.get("/api/events") as response:
            first = await next_event(response)
            assert first is not None
            assert first.id == 1
            assert [event.id for event in await entries_of(response, 3)] == [2, 3, 4]


async def test_progress_event_has_no_id(site: Site) -> None:
    async with site.client.get("/api/events") as response:
        await next_event(response)
        cold = site.snapshot.get(COLD)
        assert cold is not None
        site.bus.publish(progress_message(cold._replace(progress=0.5)))
        (event,) = await next_events(response, 1)
    assert (event.id, event.topic) == (None, "progress")
    assert orjson.loads(event.data)["progress"] == 0.5


async def test_stream_of_one_server_sends_only_its_events(site: Site) -> None:
    await site.transition(COLD, "old, cold")
    await site.transition(LOADED, "old, loaded")
    async with site.client.get("/api/events", params={"since": "0", "server": LOADED}) as response:
        replayed = await next_events(response, 1)
        await site.transition(COLD, "new, cold")
        await site.transition(LOADED, "new, loaded")
        live = await next_events(response, 1)
    assert messages(replayed + live) == [(2, "old, loaded"), (4, "new, loaded")]


@pytest.mark.parametrize("since", ["-1", "x", "", "1.5", "9" * 19, "²"])
async def test_stream_with_invalid_since_is_400(site: Site, since: str) -> None:
    status, body = await site.get("/api/events", params={"since": since})
    assert (status, body["error"]["code"]) == (400, "invalid_since")
    assert len(site.bus) == 0


async def test_stream_after_id_above_head_starts_at_head(site: Site) -> None:
    await site.transition(COLD, "old")
    async with site.client.get("/api/events?since=1000") as response:
        assert await next_event(response) == Event(1, "", "")
        await site.transition(COLD, "new")
        assert messages(await next_events(response, 1)) == [(2, "new")]


async def test_stream_after_overflow_ends_and_can_be_resumed(site: Site) -> None:
    async with site.client.get("/api/events") as response:
        await next_event(response)
        message = progress_message(next(iter(site.snapshot)))
        for _ in range(QUEUE_LIMIT + 1):  # without an await, so that the reader cannot keep up
            site.bus.publish(message)
        missed = await site.transition(COLD, "missed")
        await ended(response)
    async with site.client.get("/api/events", headers={"Last-Event-ID": "0"}) as response:
        assert messages(await next_events(response, 1)) == [(missed, "missed")]


async def test_shutdown_ends_streams_immediately(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        responses = [await site.client.get("/api/events") for _ in range(3)]
        for response in responses:
            await next_event(response)
        async with asyncio.timeout(2):
            await site.client.server.close()
            for response in responses:
                await ended(response)
        assert len(site.bus) == 0


async def test_idle_stream_sends_keep_alive(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        ports = replace(site.ports, now=lambda: 0.0)
        async with stream_alone(EventStream(ports, keep_alive_s=0.01)) as client, client.get("/") as response:
            lines = [await response.content.readline() for _ in range(5)]
    assert lines[3] == b": keep-alive\n"


async def test_client_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        ports = replace(site.ports, now=lambda: 0.0)
        async with stream_alone(EventStream(ports, write_timeout_s=0.05)) as client:
            assert client.port is not None
            _reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await wait_until(lambda: len(site.bus) == 1)
            large = StreamMessage(Topic.PROGRESS, lambda: {"message": "x" * 20_000_000}, None, COLD)
            site.bus.publish(large)
            await wait_until(lambda: len(site.bus) == 0)
            writer.close()


async def test_burst_of_streams_does_not_exceed_the_limit(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, stream_alone(EventStream(site.ports, max_streams=3)) as client:
        burst = [await one for one in asyncio.as_completed([client.get("/") for _ in range(12)])]
        assert sorted(response.status for response in burst) == [200] * 3 + [503] * 9
        for response in burst:
            response.close()
        await wait_until(lambda: len(site.bus) == 0)
        async with client.get("/") as response:
            assert response.status == 200


async def test_client_that_disconnects_is_unsubscribed(site: Site) -> None:
    async with site.client.get("/api/events") as response:
        await next_event(response)
        assert len(site.bus) == 1
    message = progress_message(next(iter(site.snapshot)))
    async with asyncio.timeout(5):
        while len(site.bus) > 0:
            site.bus.publish(message)
            await asyncio.sleep(0.01)


async def entries_of(response: ClientResponse, count: int) -> list[Event]:
    """Return the next `count` log entries, without progress."""
    entries: list[Event] = []
    while len(entries) < count:
        entries += [event for event in await next_events(response, 1) if event.topic != "progress"]
    return entries


@asynccontextmanager
async def stream_alone(stream: EventStream) -> AsyncIterator[Client]:
    """Serve a stream with its own timeouts at /."""
    app = Application(middlewares=[errors_as_json])
    app.router.add_get("/", stream.handle)
    app.on_shutdown.append(stream.end_all)
    async with TestClient(TestServer(app)) as client:
        yield client


async def ended(response: ClientResponse) -> None:
    """Read until the stream ends."""
    while await next_event(response) is not None:
        pass


async def test_stream_without_journal_sends_live_messages(site: Site) -> None:
    await site.journal.close()
    async with site.client.get("/api/events") as response:
        assert response.status == 200
        first = await next_event(response)
        assert first == Event(None, "", "")
        cold = site.snapshot.get(COLD)
        assert cold is not None
        site.bus.publish(progress_message(cold))
        (event,) = await next_events(response, 1)
        assert (event.topic, event.id) == ("progress", None)
    async with site.client.get("/api/events?since=0") as response:
        assert response.status == 503
