"""Looking a prompt up by GET /api/jobs/ID, with answers as ComfyUI 0.6 to 0.33 give them."""

from typing import Any

import pytest

from statemachine.comfyui.errors import ComfyError, NotAnsweringError, RateLimitedError, TooLargeError
from statemachine.core import events as e
from statemachine.core.messages import message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source
from tests.comfyui_client.fakes import Scripted, client_of, history_of, json_reply, queue_entry, text_reply, workflow

ID = "7b0ff2a5-4f0b-4d3c-9a43-0d2e9d1c3c11"
JOB = f"/api/jobs/{ID}"
W = workflow("w", "k1")
ABSENT = json_reply({"error": "Job not found"}, 404)
PENDING = {"id": ID, "status": "pending", "priority": 3, "create_time": 1764, "outputs_count": 0}
QUEUE = {"queue_running": [queue_entry(ID)], "queue_pending": []}
IN_QUEUE: dict[str, Scripted | list[Scripted]] = {
    f"/history/{ID}": json_reply({}),
    "/prompt": json_reply({"exec_info": {"queue_remaining": 1}}),
    "/queue": json_reply(QUEUE),
}
ACCEPTED = e.PromptAccepted(ID, ID, Source.QUEUE)


def attempt(server_prompt_id: str = ID) -> Attempt:
    return Attempt("a", "w", ID, 0.0, server_prompt_id=server_prompt_id)


def ended(status_str: str, *messages: list[Any], status: str = "failed") -> dict[str, Any]:
    execution = {"status_str": status_str, "completed": status_str == "success", "messages": list(messages)}
    return {"id": ID, "status": status, "priority": 0, "outputs": {}, "execution_status": execution}


RAISED = ["execution_error", {"node_id": "10", "exception_type": "ValueError", "exception_message": "wrong"}]
INTERRUPTED = ["execution_interrupted", {"node_id": "10"}]
CACHED = ["execution_cached", {"nodes": ["20"]}]


@pytest.mark.parametrize("status", ["pending", "in_progress"])
async def test_job_in_queue_is_accepted_after_one_request(status: str) -> None:
    client, transport = client_of({JOB: json_reply(PENDING | {"status": status})})
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests == [JOB]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ended("success", CACHED, status="completed"), e.PromptSucceeded),
        (ended("error", RAISED), e.PromptFailed),
        (ended("error", INTERRUPTED, status="cancelled"), e.PromptInterrupted),
        (ended("error", INTERRUPTED, status="failed"), e.PromptInterrupted),
    ],
)
async def test_job_that_ended_needs_one_request(answer: dict[str, Any], kind: type[e.PromptEnd]) -> None:
    """Versions before 0.12 report an interrupted prompt as failed; its frames tell the difference."""
    client, transport = client_of({JOB: json_reply(answer)})
    found = await client.find_prompt(attempt())
    assert isinstance(found, kind)
    assert isinstance(found, e.PromptSucceeded | e.PromptFailed | e.PromptInterrupted)
    assert (found.prompt_id, found.proved_by) == (ID, Source.HISTORY)
    assert transport.requests == [JOB]


async def test_job_that_succeeded_names_its_cached_nodes() -> None:
    client, _ = client_of({JOB: json_reply(ended("success", CACHED, status="completed"))})
    assert await client.find_prompt(attempt()) == e.PromptSucceeded(ID, Source.HISTORY, ("20",))


async def test_job_found_under_the_servers_id_has_our_id() -> None:
    client, _ = client_of({"/api/jobs/theirs": json_reply(PENDING | {"id": "theirs"})})
    assert await client.find_prompt(attempt("theirs")) == e.PromptAccepted(ID, "theirs", Source.QUEUE)


async def test_job_absent_between_two_reads_is_found_in_queue() -> None:
    client, transport = client_of({**IN_QUEUE, JOB: [ABSENT, json_reply(PENDING)]})
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert "/queue" in transport.requests
    transport.requests.clear()
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests == [JOB]


@pytest.mark.parametrize(
    "answer",
    [
        text_reply("404: Not Found", 404),
        text_reply("<html>", 200),
        text_reply("", 405),
        text_reply("", 403),
        text_reply("Internal Server Error", 500),
        json_reply([]),
        json_reply({}),
        json_reply(PENDING | {"id": "another"}),
        json_reply(PENDING | {"status": "unheard of"}),
        json_reply(ended("unheard of", status="completed")),
        json_reply({"id": ID, "status": "completed", "execution_status": None}),
    ],
)
async def test_job_answer_of_another_kind_leaves_queue_and_history(answer: Scripted) -> None:
    client, transport = client_of({**IN_QUEUE, JOB: answer})
    for _ in range(3):
        assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests.count(JOB) == 1
    client.forget_offers()
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests.count(JOB) == 2


async def test_job_too_large_to_read_is_looked_up_in_history() -> None:
    history = json_reply(history_of(W, ID))
    client, transport = client_of({JOB: TooLargeError(message("unexpected_answer")), f"/history/{ID}": history})
    for _ in range(2):
        assert isinstance(await client.find_prompt(attempt()), e.PromptSucceeded)
    assert transport.requests.count(JOB) == 2


async def test_job_route_that_hangs_alone_is_not_asked_again() -> None:
    client, transport = client_of({**IN_QUEUE, JOB: NotAnsweringError("timed out")})
    with pytest.raises(NotAnsweringError):
        await client.find_prompt(attempt())
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests.count(JOB) == 1


async def test_job_behind_rate_limit_decides_nothing() -> None:
    client, transport = client_of({**IN_QUEUE, JOB: [text_reply("", 429), json_reply(PENDING)]})
    with pytest.raises(RateLimitedError):
        await client.find_prompt(attempt())
    assert await client.find_prompt(attempt()) == ACCEPTED
    assert transport.requests == [JOB, JOB]


async def test_job_id_is_quoted_in_path() -> None:
    client, transport = client_of(IN_QUEUE)
    with pytest.raises(ComfyError):
        await client.find_prompt(attempt("a/../b?c"))
    assert transport.requests[0] == "/api/jobs/a%2F..%2Fb%3Fc"
