"""Finding a prompt after an uncertain submission, also while it moves from queue to history."""

from functools import partial
from typing import Any

import pytest

from statemachine.comfyui.errors import ComfyError, NotAnsweringError, NotUnderstoodError
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
INTERRUPTED = ["execution_interrupted", {"node_id": "10"}]
RAISED = ["execution_error", {"node_id": "10", "exception_type": "ValueError", "exception_message": "wrong"}]


def attempt(server_prompt_id: str = "ours") -> Attempt:
    return Attempt("a", "w", "ours", 0.0, server_prompt_id=server_prompt_id)


class MovingPrompt:
    """A server whose prompt `given_id` moves from the queue to history after a number of requests."""

    def __init__(self, given_id: str, moves_after: int) -> None:
        self.entry = queue_entry(given_id, W.graph, marker_of(W))
        self.request_count = 0
        self.moves_after = moves_after

    def replies(self) -> dict[str, Scripted | list[Scripted]]:
        paths = ["/history/ours", "/history/theirs", "/queue", NEWEST]
        return {path: partial(self.reply, path) for path in paths}

    def reply(self, path: str) -> Reply:
        in_history = self.request_count >= self.moves_after
        self.request_count += 1
        if path == "/queue":
            return json_reply({"queue_running": [] if in_history else [self.entry], "queue_pending": []})
        is_found = in_history and path.removeprefix("/history/") in (self.entry[1], NEWEST)
        return json_reply({self.entry[1]: history_entry(self.entry)} if is_found else {})


@pytest.mark.parametrize("moves_after", range(5))
@pytest.mark.parametrize(("given", "known"), [("ours", "ours"), ("theirs", "theirs"), ("theirs", "ours")])
async def test_find_prompt_moving_to_history_is_found(given: str, known: str, moves_after: int) -> None:
    client, _ = client_of(MovingPrompt(given, moves_after).replies())
    found = await client.find_prompt(attempt(known))
    assert found in (
        e.PromptAccepted("ours", given, Source.QUEUE),
        e.PromptSucceeded("ours", Source.HISTORY, ()),
    )


async def test_find_prompt_in_history_needs_one_request() -> None:
    client, transport = client_of({"/history/ours": json_reply(history_of(W, "ours"))})
    assert isinstance(await client.find_prompt(attempt()), e.PromptSucceeded)
    assert transport.requests == ["/history/ours"]


async def test_find_prompt_unknown_is_none_after_history_queue_history() -> None:
    client, transport = client_of(
        {
            "/history/ours": json_reply({}),
            "/queue": json_reply({"queue_running": [], "queue_pending": [queue_entry("another")]}),
            NEWEST: json_reply({"another": history_entry(queue_entry("another"))}),
        }
    )
    assert await client.find_prompt(attempt()) is None
    assert transport.requests == ["/history/ours", "/queue", "/history/ours", NEWEST]


@pytest.mark.parametrize("part", ["queue_running", "queue_pending"])
async def test_find_prompt_queued_under_servers_id_is_found_by_marker(part: str) -> None:
    queue: dict[str, Any] = {"queue_running": [], "queue_pending": []}
    queue[part] = [queue_entry("another"), queue_entry("theirs", W.graph, marker_of(W))]
    client, _ = client_of({"/history/ours": json_reply({}), "/queue": json_reply(queue)})
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
            "/queue": json_reply({"queue_running": [], "queue_pending": []}),
            NEWEST: json_reply({"theirs": entry}),
        }
    )
    found = await client.find_prompt(attempt())
    assert isinstance(found, kind)
    assert isinstance(found, e.PromptSucceeded | e.PromptFailed | e.PromptInterrupted)
    assert attempt().is_about(found.prompt_id)


@pytest.mark.parametrize("path", ["/history/ours", "/queue", NEWEST])
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
        "/queue": json_reply({"queue_running": [], "queue_pending": []}),
        NEWEST: json_reply({}),
    }
    client, _ = client_of({**answers, path: failing})
    with pytest.raises(error):
        await client.find_prompt(attempt())


async def test_history_entry_quotes_id_in_path() -> None:
    client, transport = client_of({})
    with pytest.raises(ComfyError):
        await client.history_entry("a/../b?c")
    assert transport.requests == ["/history/a%2F..%2Fb%3Fc"]


@pytest.mark.parametrize("path", ["/history/ours", NEWEST])
async def test_find_prompt_entry_of_ours_that_is_not_understood_raises(path: str) -> None:
    entry = history_of(W, "ours")["ours"] | {"status": None}
    empty = {"/history/ours": json_reply({}), "/queue": json_reply({"queue_running": [], "queue_pending": []})}
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
