"""Simple requests: queue length, node class, history; and the error for each HTTP status."""

import pytest

from statemachine.comfyui.errors import (
    AbsentError,
    AccessDeniedError,
    ComfyError,
    NotAnsweringError,
    NotUnderstoodError,
)
from statemachine.comfyui.transport import Reply
from tests.comfyui_client.fakes import client_of, history_entry, json_reply, queue_entry, text_reply


async def test_queue_remaining_returns_length() -> None:
    client, _ = client_of({"/prompt": json_reply({"exec_info": {"queue_remaining": 3}})})
    assert await client.queue_remaining() == 3


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"exec_info": None},
        {"exec_info": {}},
        {"exec_info": {"queue_remaining": "x"}},
        {"exec_info": {"queue_remaining": -1}},
    ],
)
async def test_queue_remaining_other_answer_raises(answer: object) -> None:
    client, _ = client_of({"/prompt": json_reply(answer)})
    with pytest.raises(NotUnderstoodError):
        await client.queue_remaining()


async def test_object_info_unknown_class_is_none() -> None:
    client, _ = client_of(
        {"/object_info/No": json_reply({}), "/object_info/A%20%2F%2FB": json_reply({"A //B": {"input": {}}})}
    )
    assert await client.object_info("No") is None
    assert await client.object_info("A //B") == {"input": {}}


async def test_newest_history_is_newest_first() -> None:
    entries = {name: history_entry(queue_entry(name)) for name in ("old", "new")}
    client, _ = client_of({"/history?max_items=2": json_reply(entries)})
    assert [entry.prompt_id for entry in await client.newest_history(2)] == ["new", "old"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (text_reply("", 401), AccessDeniedError),
        (text_reply("", 403), AccessDeniedError),
        (text_reply("", 302, "/login"), AccessDeniedError),
        (text_reply("", 303, "/auth/Login?next=x"), AccessDeniedError),
        (text_reply("", 302, "/elsewhere"), NotUnderstoodError),
        (text_reply("", 404), AbsentError),
        (text_reply("", 500), NotUnderstoodError),
        (text_reply("", 204), NotUnderstoodError),
        (text_reply("", 502), NotAnsweringError),
        (text_reply("", 503), NotAnsweringError),
        (text_reply("", 504), NotAnsweringError),
        (text_reply(""), NotUnderstoodError),
        (Reply(200, b"\xff\xfe{"), NotUnderstoodError),
    ],
)
async def test_system_stats_status_raises_matching_error(reply: Reply, error: type[ComfyError]) -> None:
    client, _ = client_of({"/system_stats": reply})
    with pytest.raises(error) as caught:
        await client.system_stats()
    assert type(caught.value) is error
    assert str(caught.value)


def test_not_understood_error_limits_raw_text() -> None:
    error = NotUnderstoodError("what", 200, "x" * 100_000)
    assert len(error.raw) == 2_000
    assert len(str(error)) < 300
