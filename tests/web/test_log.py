"""GET /api/log: pages, and the filters that it shares with the event stream."""

from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from statemachine.core.log_entry import LogEntry, notice_entry
from statemachine.core.messages import message
from statemachine.core.vocabulary import Notice, Reason, Source, State
from statemachine.journal.pages import SCAN_ROWS
from statemachine.journal.store import Write
from statemachine.publish.serialize import log_entry, progress_message
from statemachine.web.log import LogHandler
from tests.web.site import COLD, LOADED, NOW, Site, next_event, next_events, transition_entry, view

OTHER = "192.0.2.3:8188"
FAILED = transition_entry(OTHER, "failed")._replace(group="lab", dest=State.FAILED, reason=Reason.PROMPT_FAILED.value)


async def fill(site: Site, *entries: LogEntry) -> None:
    await site.journal.with_store(lambda store: store.write([Write(entry, None) for entry in entries]))


async def mixed(site: Site) -> None:
    """Write five entries: cold, loaded, a notice, a failure in the lab group, cold again."""
    site.snapshot.put(view(OTHER, State.FAILED, Reason.PROMPT_FAILED)._replace(group="lab"))
    loaded = transition_entry(LOADED, "l")._replace(dest=State.LOADED, reason=Reason.ALL_CACHED.value)
    vanished = notice_entry(Notice.FLEET_VANISHED, NOW)
    await fill(site, transition_entry(COLD, "c"), loaded, vanished, FAILED, transition_entry(COLD, "c again"))


async def ids(site: Site, query: list[tuple[str, str]]) -> list[int]:
    status, body = await site.get("/api/log", params=query)
    assert status == 200, body
    return [entry["id"] for entry in body["entries"]]


async def test_log_entries_equal_stream_events_newest_first(site: Site) -> None:
    for text in ("older", "newer"):
        await site.transition(COLD, text)
    _, body = await site.get("/api/log")
    async with site.client.get("/api/events?since=0") as response:
        streamed = [orjson.loads(event.data) for event in await next_events(response, 2)]
    assert body == {"entries": streamed[::-1], "next": None}
    assert body["entries"][0] == log_entry(transition_entry(COLD, "newer").numbered(2))


async def test_log_entry_names_the_client_that_acted(site: Site) -> None:
    requested = message("requested_by", what=message("reason.pause_requested"), by="alice")
    await site.publish(transition_entry(COLD, "")._replace(message=requested, proved_by=Source.OPERATOR))
    await site.transition(COLD, "no client")
    _, body = await site.get("/api/log")
    assert [entry["by"] for entry in body["entries"]] == [None, "alice"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_log_pages_cover_every_entry_once(site: Site, limit: int) -> None:
    await fill(site, *[transition_entry(COLD, str(number)) for number in range(7)])
    seen, answers, before = list[int](), 0, None
    while answers == 0 or before is not None:
        query = {"limit": str(limit), **({} if before is None else {"before": str(before)})}
        _, body = await site.get("/api/log", params=query)
        seen += [entry["id"] for entry in body["entries"]]
        before, answers = body["next"], answers + 1
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert answers == -(-7 // limit)


async def test_log_without_limit_returns_200_entries(site: Site) -> None:
    await fill(site, *[transition_entry(COLD, str(number)) for number in range(201)])
    _, body = await site.get("/api/log")
    assert (len(body["entries"]), body["next"]) == (200, 2)


FILTERS: list[tuple[list[tuple[str, str]], list[int]]] = [
    ([("server", LOADED)], [2]),
    ([("server", LOADED), ("server", COLD)], [5, 2, 1]),
    ([("group", "lab")], [4]),
    ([("state", "cold"), ("state", "failed")], [5, 4, 1]),
    ([("reason", "keys_missing"), ("reason", "fleet_vanished")], [5, 3, 1]),
    ([("state", "cold"), ("server", LOADED)], []),
    ([("state", "cold"), ("since", "1")], [5]),
    ([("since", "1"), ("before", "4")], [3, 2]),
    ([("before", "0")], []),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
async def test_log_with_filter_returns_matching_entries(
    site: Site, query: list[tuple[str, str]], expected: list[int]
) -> None:
    await mixed(site)
    assert await ids(site, query) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("LAB", [4]), ("192.0.2.2 default", [5, 1]), ("", [5, 4, 3, 2, 1]), ("%", []), ("'", [])]
)
async def test_log_search_finds_names_of_servers_and_groups(site: Site, text: str, expected: list[int]) -> None:
    await mixed(site)
    assert await ids(site, [("q", text)]) == expected


@pytest.mark.parametrize(("query", "expected"), [one for one in FILTERS if "before" not in dict(one[0])])
async def test_stream_with_filter_replays_matching_entries(
    site: Site, query: list[tuple[str, str]], expected: list[int]
) -> None:
    await mixed(site)
    async with site.client.get("/api/events", params=[*query, ("since", "0")]) as response:
        seen = [event.id for event in await next_events(response, len(expected))]
    assert seen == expected[::-1]


async def test_stream_with_filter_sends_matching_live_entries(site: Site) -> None:
    site.snapshot.put(view(OTHER, State.FAILED, Reason.PROMPT_FAILED)._replace(group="lab"))
    async with site.client.get("/api/events", params=[("state", "cold"), ("group", "default")]) as response:
        await next_event(response)
        await site.transition(COLD, "wanted")
        await site.publish(FAILED)
        await site.publish(FAILED._replace(group="default"))
        await site.publish(notice_entry(Notice.FLEET_VANISHED, NOW))
        await site.transition(LOADED, "wanted too")
        events = await next_events(response, 2)
    assert [event.id for event in events] == [1, 5]


async def test_stream_with_state_filter_sends_progress_in_that_state(site: Site) -> None:
    warming = view(OTHER, State.WARMING, Reason.PROMPT_ACCEPTED)._replace(group="lab")
    site.snapshot.put(warming)
    async with site.client.get("/api/events", params={"state": "warming", "group": "lab"}) as response:
        await next_event(response)
        for one in (warming, warming._replace(group="x"), warming._replace(state=State.COLD), warming):
            site.bus.publish(progress_message(one))
        events = await next_events(response, 2)
    assert [event.topic for event in events] == ["progress", "progress"]


BAD: list[tuple[str, str, str]] = [
    ("limit", "0", "invalid_limit"),
    ("limit", "1001", "invalid_limit"),
    ("limit", "", "invalid_limit"),
    ("limit", "-5", "invalid_limit"),
    ("limit", "٣", "invalid_limit"),
    ("before", "x", "invalid_before"),
    ("before", "9" * 19, "invalid_before"),
    ("since", "", "invalid_since"),
    ("state", "warm", "invalid_state"),
    ("state", "", "invalid_state"),
    ("reason", "no_reason", "invalid_reason"),
    ("q", "x" * 201, "invalid_q"),
]


@pytest.mark.parametrize(("name", "value", "code"), BAD)
async def test_log_with_invalid_parameter_is_400_and_names_it(site: Site, name: str, value: str, code: str) -> None:
    status, body = await site.get("/api/log", params={name: value})
    assert (status, body["error"]["code"]) == (400, code)
    assert name in body["error"]["message"]


@pytest.mark.parametrize("path", ["/api/log", "/api/events"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("server", 404, "unknown_server"), ("group", 404, "unknown_group"), ("state", 400, "invalid_state")],
)
async def test_filter_by_unknown_value_is_refused(site: Site, path: str, name: str, status: int, code: str) -> None:
    answered, body = await site.get(path, params={name: "missing"})
    assert (answered, body["error"]["code"]) == (status, code)
    assert len(site.bus) == 0


async def test_log_with_one_invalid_state_of_two_is_400(site: Site) -> None:
    status, body = await site.get("/api/log", params=[("state", "cold"), ("state", "lukewarm")])
    assert status == 400
    assert "lukewarm" in body["error"]["message"]
    assert "auto_executing" in body["error"]["message"]


async def test_log_of_removed_server_is_served(site: Site) -> None:
    await fill(site, transition_entry("192.0.2.99:1", "long ago"))
    assert await ids(site, [("server", "192.0.2.99:1")]) == [1]


async def test_log_search_over_many_rows_returns_where_to_continue(site: Site) -> None:
    await fill(site, FAILED, *[transition_entry(COLD, "m")] * (2 * SCAN_ROWS))
    app = Application()
    app.router.add_get("/", LogHandler(site.ports, max_reads=1).handle)
    answers: list[Any] = []
    async with TestClient(TestServer(app)) as client:
        before: int | None = 10**9
        while before is not None and len(answers) < 9:
            async with client.get("/", params={"state": "failed", "before": str(before)}) as response:
                answers.append(await response.json())
            before = answers[-1]["next"]
    found = [[entry["id"] for entry in answer["entries"]] for answer in answers]
    assert found == [[], [], [1]]
    assert await ids(site, [("state", "failed")]) == [1]
