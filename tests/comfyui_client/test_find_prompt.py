"""Finding a prompt after an uncertain submission, also while it moves from queue to history."""

from functools import partial
from typing import Any

import pytest

from statemachine.comfyui.client import EARLIER_PROMPTS
from statemachine.comfyui.errors import ComfyError, IncompleteQueueError, NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.transport import Reply
from statemachine.core import events as e
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source
from tests.comfyui_client.fakes import (
    Scripted,
    client_of,
    history_entry,
    history_of,
    json_reply,
    marker_of,
    queue_entry,
    text_reply,
    workflow,
)

W = workflow("w", "k1")
NEWEST = "/history?max_items=20"
EMPTY_QUEUE: dict[str, Any] = {"queue_running": [], "queue_pending": []}
INTERRUPTED = ["execution_interrupted", {"node_id": "10"}]
RAISED = ["execution_error", {"node_id": "10", "exception_type": "ValueError", "exception_message": "wrong"}]


def attempt(server_prompt_id: str = "ours", *, accepted_at: float | None = None) -> Attempt:
    return Attempt("a", "w", "ours", 0.0, server_prompt_id=server_prompt_id, accepted_at=accepted_at)


def counted(remaining: int) -> Reply:
    return json_reply({"exec_info": {"queue_remaining": remaining}})


class MovingPrompt:
    """A server whose prompt `given_id` moves from the queue to history after a number of requests."""

    def __init__(self, given_id: str, moves_after: int) -> None:
        self.entry = queue_entry(given_id, W.graph, marker_of(W))
        self.request_count = 0
        self.moves_after = moves_after

    def replies(self) -> dict[str, Scripted | list[Scripted]]:
        paths = ["/history/ours", "/history/theirs", "/prompt", "/queue", NEWEST]
        return {path: partial(self.reply, path) for path in paths}

    def reply(self, path: str) -> Reply:
        in_history = self.request_count >= self.moves_after
        self.request_count += 1
        if path == "/prompt":
            return counted(int(not in_history))
        if path == "/queue":
            return json_reply({"queue_running": [] if in_history else [self.entry], "queue_pending": []})
        is_found = in_history and path.removeprefix("/history/") in (self.entry[1], NEWEST)
        return json_reply({self.entry[1]: history_entry(self.entry)} if is_found else {})


@pytest.mark.parametrize("moves_after", range(7))
@pytest.mark.parametrize(("given", "known"), [("ours", "ours"), ("theirs", "theirs"), ("theirs", "ours")])
async def test_find_prompt_moving_to_history_is_found(given: str, known: str, moves_after: int) -> None:
    client, _ = client_of(MovingPrompt(given, moves_after).replies())
    found = await client.find_prompt(attempt(known))
    assert found in (
        e.PromptAccepted("ours", given, Source.QUEUE),
        e.PromptSucceeded("ours", Source.HISTORY, ()),
    )


async def test_find_prompt_without_jobs_route_reads_history_first() -> None:
    client, transport = client_of({"/history/ours": json_reply(history_of(W, "ours"))})
    for _ in range(2):
        assert isinstance(await client.find_prompt(attempt()), e.PromptSucceeded)
    assert transport.requests == ["/api/jobs/ours", "/history/ours", "/history/ours"]


async def test_find_prompt_unknown_is_none_after_history_queue_history() -> None:
    client, transport = client_of(
        {
            "/history/ours": json_reply({}),
            "/prompt": counted(1),
            "/queue": json_reply({"queue_running": [], "queue_pending": [queue_entry("another")]}),
            NEWEST: json_reply({"another": history_entry(queue_entry("another"))}),
        }
    )
    assert await client.find_prompt(attempt()) is None
    assert transport.requests[1:] == ["/history/ours", "/prompt", "/queue", "/history/ours", NEWEST]


@pytest.mark.parametrize("part", ["queue_running", "queue_pending"])
async def test_find_prompt_queued_under_servers_id_is_found_by_marker(part: str) -> None:
    queue: dict[str, Any] = {"queue_running": [], "queue_pending": []}
    queue[part] = [queue_entry("another"), queue_entry("theirs", W.graph, marker_of(W))]
    client, _ = client_of({"/history/ours": json_reply({}), "/prompt": counted(2), "/queue": json_reply(queue)})
    assert await client.find_prompt(attempt()) == e.PromptAccepted("ours", "theirs", Source.QUEUE)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("success", [], e.PromptSucceeded),
        ("error", [RAISED], e.PromptFailed),
        ("error", [INTERRUPTED], e.PromptInterrupted),
    ],
)
async def test_find_prompt_ended_under_servers_id_has_our_id(status: str, message: list[Any], kind: type) -> None:
    entry = history_entry(queue_entry("theirs", W.graph, marker_of(W)), status, *message)
    client, _ = client_of(
        {
            "/history/ours": json_reply({}),
            "/prompt": counted(0),
            "/queue": json_reply(EMPTY_QUEUE),
            NEWEST: json_reply({"theirs": entry}),
        }
    )
    found = await client.find_prompt(attempt())
    assert isinstance(found, kind)
    assert isinstance(found, e.PromptSucceeded | e.PromptFailed | e.PromptInterrupted)
    assert attempt().is_about(found.prompt_id)


@pytest.mark.parametrize("path", ["/history/ours", "/prompt", "/queue", NEWEST])
@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (NotAnsweringError("timed out"), NotAnsweringError),
        (text_reply("<html>"), NotUnderstoodError),
        (json_reply([]), NotUnderstoodError),
        (json_reply({"unheard": "of"}), NotUnderstoodError),
        (text_reply("", 404), ComfyError),
        (text_reply("", 302, "/login"), ComfyError),
    ],
)
async def test_find_prompt_failed_request_raises(path: str, failing: Scripted, error: type[ComfyError]) -> None:
    answers: dict[str, Scripted | list[Scripted]] = {
        "/history/ours": json_reply({}),
        "/prompt": counted(0),
        "/queue": json_reply(EMPTY_QUEUE),
        NEWEST: json_reply({}),
    }
    client, _ = client_of({**answers, path: failing})
    with pytest.raises(error):
        await client.find_prompt(attempt())


def hidden(*counts: int) -> dict[str, Scripted | list[Scripted]]:
    """Return the replies of a server whose /queue lists one prompt of another client."""
    queue = {"queue_running": [queue_entry("another")], "queue_pending": []}
    counts_in_turn: list[Scripted] = [counted(remaining) for remaining in counts]
    return {
        "/history/ours": json_reply({}),
        "/prompt": counts_in_turn,
        "/queue": json_reply(queue),
        NEWEST: json_reply({}),
    }


@pytest.mark.parametrize("counts", [(2, 2), (3, 2), (2, 3)])
async def test_find_prompt_in_incomplete_queue_decides_nothing(counts: tuple[int, int]) -> None:
    client, _ = client_of(hidden(*counts))
    with pytest.raises(IncompleteQueueError, match="the queue lists 1 of 2 prompts"):
        await client.find_prompt(attempt())


@pytest.mark.parametrize("counts", [(1, 1), (0, 5), (5, 1)])
async def test_find_prompt_in_queue_as_long_as_smaller_count_is_none(counts: tuple[int, int]) -> None:
    """Prompts start and end while the queue is read."""
    client, _ = client_of(hidden(*counts))
    assert await client.find_prompt(attempt()) is None


async def test_find_prompt_in_history_counts_despite_incomplete_queue() -> None:
    entry: list[Scripted] = [json_reply({}), json_reply(history_of(W, "ours"))]
    client, _ = client_of({**hidden(2, 2), "/history/ours": entry})
    assert isinstance(await client.find_prompt(attempt()), e.PromptSucceeded)


async def test_find_prompt_beside_unreadable_prompt_decides_nothing() -> None:
    queue = {"queue_running": [queue_entry("another")], "queue_pending": [None]}
    client, _ = client_of({**hidden(1), "/queue": json_reply(queue)})
    with pytest.raises(IncompleteQueueError, match="the queue lists 1 of 2 prompts"):
        await client.find_prompt(attempt())


def history_behind(later: int) -> dict[str, Scripted | list[Scripted]]:
    """Return the replies of a server that ran our prompt under its own id and `later` others after it."""
    ours = history_entry(queue_entry("theirs", W.graph, marker_of(W)))
    entries = {"theirs": ours, **{str(n): history_entry(queue_entry(str(n))) for n in range(later)}}
    newest = {
        f"/history?max_items={count}": json_reply(dict(list(entries.items())[-count:])) for count in EARLIER_PROMPTS
    }
    return {**newest, "/history/ours": json_reply({}), "/prompt": counted(0), "/queue": json_reply(EMPTY_QUEUE)}


@pytest.mark.parametrize("later", [0, 19, 20, 79, 80, 300])
async def test_find_prompt_thoroughly_finds_it_behind_others(later: int) -> None:
    client, _ = client_of(history_behind(later))
    assert isinstance(await client.find_prompt(attempt(), thorough=True), e.PromptSucceeded)


async def test_find_prompt_reads_little_history_unless_thorough() -> None:
    client, transport = client_of(history_behind(300))
    assert await client.find_prompt(attempt()) is None
    assert transport.requests[-1] == NEWEST


async def test_find_prompt_accepted_is_found_by_the_servers_id_alone() -> None:
    client, transport = client_of({**history_behind(0), "/history/theirs": json_reply({})})
    assert await client.find_prompt(attempt("theirs", accepted_at=1.0), thorough=True) is None
    assert NEWEST not in transport.requests


async def test_history_entry_quotes_id_in_path() -> None:
    client, transport = client_of({})
    with pytest.raises(ComfyError):
        await client.history_entry("a/../b?c")
    assert transport.requests == ["/history/a%2F..%2Fb%3Fc", "/prompt"]


@pytest.mark.parametrize("path", ["/history/ours", NEWEST])
async def test_find_prompt_entry_of_ours_that_is_not_understood_raises(path: str) -> None:
    entry = history_of(W, "ours")["ours"] | {"status": None}
    empty = {"/history/ours": json_reply({}), "/prompt": counted(0), "/queue": json_reply(EMPTY_QUEUE)}
    client, _ = client_of({**empty, path: json_reply({"ours": entry})})
    with pytest.raises(NotUnderstoodError):
        await client.find_prompt(attempt())


async def test_history_entry_is_the_one_with_the_id() -> None:
    answer = history_of(W, "another") | {"broken": None} | history_of(W, "ours")
    client, _ = client_of({"/history/ours": json_reply(answer), "/history/x": json_reply(answer)})
    entry = await client.history_entry("ours")
    assert entry is not None
    assert entry.prompt_id == "ours"
    assert await client.history_entry("x") is None
