"""Simple requests: queue length, node class, history; and the error for each HTTP status."""

import pytest

from statemachine.comfyui.errors import (
    AbsentError,
    AccessDeniedError,
    ComfyError,
    NotAnsweringError,
    NotUnderstoodError,
    RateLimitedError,
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
        (text_reply("", 407), AccessDeniedError),
        (text_reply("", 511), AccessDeniedError),
        (text_reply("", 302, "https://x.cloudflareaccess.com/cdn-cgi/access/login/y"), AccessDeniedError),
        (text_reply("", 404), AbsentError),
        (text_reply("", 410), AbsentError),
        (text_reply("", 429), RateLimitedError),
        (text_reply("", 500), NotUnderstoodError),
        (text_reply("", 204), NotUnderstoodError),
        (text_reply("", 502), NotAnsweringError),
        (text_reply("", 503), NotAnsweringError),
        (text_reply("", 504), NotAnsweringError),
        *(
            (text_reply("", status), NotAnsweringError)
            for status in (408, 444, 499, 509, *range(520, 528), 530, 540, 599)
        ),
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


@pytest.mark.parametrize("status", [404, 410, 502, 520, 521, 522, 523, 524, 525, 526, 527, 530])
async def test_status_without_comfyui_is_not_answering_on_every_route(status: int) -> None:
    reply = text_reply("<html>error 1033</html>", status)
    client, _ = client_of(dict.fromkeys(("/prompt", "/queue", "/history", "/history/x", "/system_stats"), reply))
    for asked in (client.queue_remaining, client.queue, client.system_stats):
        with pytest.raises(NotAnsweringError):
            await asked()
    with pytest.raises(NotAnsweringError):
        await client.history_entry("x")
    with pytest.raises(NotAnsweringError):
        await client.newest_history(3)


@pytest.mark.parametrize("prompt", [text_reply("", 401), text_reply("<html>"), text_reply("", 500)])
async def test_absent_route_of_another_service_stays_absent(prompt: Reply) -> None:
    client, _ = client_of({"/prompt": prompt})
    with pytest.raises(AbsentError):
        await client.history_entry("x")


DENIALS = [
    (Reply(401, b"", challenge='Basic realm="a, b"'), "access denied (HTTP 401), the server asks for Basic"),
    (
        Reply(401, b'{"error":\n "no token"}', challenge='Bearer realm="x", error="y", Digest qop="auth"'),
        'access denied (HTTP 401), the server asks for Bearer, Digest: \'{"error": "no token"}\'',
    ),
    (Reply(403, b"x" * 10**6), f"access denied (HTTP 403): '{'x' * 200}'"),
    (Reply(302, b"", "/oauth2/start?rd=1"), "access denied (HTTP 302), redirect to /oauth2/start?rd=1"),
]


@pytest.mark.parametrize(("reply", "expected"), DENIALS)
def test_denial_names_scheme_and_quotes_text(reply: Reply, expected: str) -> None:
    with pytest.raises(AccessDeniedError) as caught:
        reply.raise_for_status()
    assert str(caught.value) == expected


def test_rate_limit_names_pause_and_quotes_text() -> None:
    with pytest.raises(RateLimitedError) as caught:
        Reply(429, b"slow down", retry_after_s=29.5).raise_for_status()
    assert str(caught.value) == "rate limited (HTTP 429, retry after 30 s): 'slow down'"
    assert caught.value.retry_after_s == 29.5
    with pytest.raises(RateLimitedError):
        Reply(429, b"", retry_after_s=float("inf")).raise_for_status()


def test_not_understood_error_limits_raw_text() -> None:
    error = NotUnderstoodError("what", 200, "x" * 100_000)
    assert len(error.raw) == 2_000
    assert len(str(error)) < 300
