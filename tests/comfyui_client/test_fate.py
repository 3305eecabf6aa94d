"""What became of a prompt: a look that no movement of the prompt escapes."""

from functools import partial
from typing import Any

import pytest

from statemachine.comfyui.errors import ComfyError, NotAnsweringError, NotUnderstoodError
from statemachine.comfyui.fate import look_up
from statemachine.comfyui.transport import Reply
from statemachine.core import events as e
from statemachine.core.attempt import Attempt
from statemachine.core.vocabulary import Source
from tests.comfyui_client.fakes import (
    Said,
    client_of,
    history_entry,
    json_reply,
    marker_of,
    queue_entry,
    ran,
    text_reply,
    workflow,
)

W = workflow("w", "k1")
NEWEST = "/history?max_items=20"
INTERRUPTED = ["execution_interrupted", {"node_id": "10"}]
RAISED = ["execution_error", {"node_id": "10", "exception_type": "ValueError", "exception_message": "wrong"}]


def attempt(server_prompt_id: str = "ours") -> Attempt:
    return Attempt("a", "w", "ours", 0.0, server_prompt_id=server_prompt_id)


class Mover:
    """A server on which the prompt `given_id` moves on after each look: pending, running, history."""

    def __init__(self, given_id: str, moves_after: int) -> None:
        self.entry = queue_entry(given_id, W.graph, marker_of(W))
        self.looks = 0
        self.moves_after = moves_after

    def said(self) -> dict[str, Said | list[Said]]:
        paths = ["/history/ours", "/history/theirs", "/queue", NEWEST]
        return {path: partial(self.look, path) for path in paths}

    def look(self, path: str) -> Reply:
        in_history = self.looks >= self.moves_after
        self.looks += 1
        if path == "/queue":
            return json_reply({"queue_running": [] if in_history else [self.entry], "queue_pending": []})
        asked = path.removeprefix("/history/")
        return json_reply(
            {self.entry[1]: history_entry(self.entry)} if in_history and asked in (self.entry[1], NEWEST) else {}
        )


@pytest.mark.parametrize("moves_after", range(5))
@pytest.mark.parametrize(("given", "known"), [("ours", "ours"), ("theirs", "theirs"), ("theirs", "ours")])
async def test_a_prompt_that_moves_between_the_looks_is_always_seen(given: str, known: str, moves_after: int) -> None:
    client, _ = client_of(Mover(given, moves_after).said())
    found = await look_up(client, attempt(known))
    assert found in (
        e.PromptAccepted("ours", given, Source.QUEUE),
        e.PromptSucceeded("ours", Source.HISTORY, ()),
    )


async def test_history_alone_is_enough_where_it_knows() -> None:
    client, transport = client_of({"/history/ours": json_reply(ran(W, "ours"))})
    assert isinstance(await look_up(client, attempt()), e.PromptSucceeded)
    assert transport.asked == ["/history/ours"]


async def test_the_order_of_the_looks() -> None:
    client, transport = client_of(
        {
            "/history/ours": json_reply({}),
            "/queue": json_reply({"queue_running": [], "queue_pending": [queue_entry("another")]}),
            NEWEST: json_reply({"another": history_entry(queue_entry("another"))}),
        }
    )
    assert await look_up(client, attempt()) is None
    assert transport.asked == ["/history/ours", "/queue", "/history/ours", NEWEST]


@pytest.mark.parametrize("part", ["queue_running", "queue_pending"])
async def test_a_prompt_under_the_servers_own_id_is_found_in_the_queue_by_our_name(part: str) -> None:
    queue: dict[str, Any] = {"queue_running": [], "queue_pending": []}
    queue[part] = [queue_entry("another"), queue_entry("theirs", W.graph, marker_of(W))]
    client, _ = client_of({"/history/ours": json_reply({}), "/queue": json_reply(queue)})
    assert await look_up(client, attempt()) == e.PromptAccepted("ours", "theirs", Source.QUEUE)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("success", [], e.PromptSucceeded),
        ("error", [RAISED], e.PromptFailed),
        ("error", [INTERRUPTED], e.PromptInterrupted),
    ],
)
async def test_an_end_found_by_the_marker_is_about_the_attempt(status: str, message: list[Any], kind: type) -> None:
    entry = history_entry(queue_entry("theirs", W.graph, marker_of(W)), status, *message)
    client, _ = client_of(
        {
            "/history/ours": json_reply({}),
            "/queue": json_reply({"queue_running": [], "queue_pending": []}),
            NEWEST: json_reply({"theirs": entry}),
        }
    )
    found = await look_up(client, attempt())
    assert isinstance(found, kind)
    assert isinstance(found, e.PromptSucceeded | e.PromptFailed | e.PromptInterrupted)
    assert attempt().is_about(found.prompt_id)


@pytest.mark.parametrize("path", ["/history/ours", "/queue", NEWEST])
@pytest.mark.parametrize(
    ("said", "error"),
    [
        (NotAnsweringError("timed out"), NotAnsweringError),
        (text_reply("<html>"), NotUnderstoodError),
        (json_reply([]), NotUnderstoodError),
        (json_reply({"unheard": "of"}), NotUnderstoodError),
        (text_reply("", 404), ComfyError),
        (text_reply("", 302, "/login"), ComfyError),
    ],
)
async def test_a_look_that_fails_proves_no_absence(path: str, said: Said, error: type[ComfyError]) -> None:
    answers: dict[str, Said | list[Said]] = {
        "/history/ours": json_reply({}),
        "/queue": json_reply({"queue_running": [], "queue_pending": []}),
        NEWEST: json_reply({}),
    }
    client, _ = client_of({**answers, path: said})
    with pytest.raises(error):
        await look_up(client, attempt())


async def test_an_id_of_any_shape_is_one_part_of_the_path() -> None:
    client, transport = client_of({})
    with pytest.raises(ComfyError):
        await client.history_entry("a/../b?c")
    assert transport.asked == ["/history/a%2F..%2Fb%3Fc"]
