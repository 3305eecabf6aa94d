"""Texts of any length that a server sends are cut where they enter."""

import orjson
import pytest

from statemachine.comfyui.errors import AccessDeniedError, ComfyError
from statemachine.comfyui.frames import decode
from statemachine.comfyui.records import HistoryEntry, UnreadableEntry, history_entries
from statemachine.comfyui.submit_replies import parse_submit_reply
from statemachine.comfyui.transport import Reply
from statemachine.core import events
from statemachine.core.messages import MAX_TEXT, Message
from statemachine.i18n.render import render

HUGE = "x" * 2_000_000
NODE = {"class_type": HUGE, "errors": [{"message": HUGE, "details": HUGE}] * 100}
REFUSALS = {
    "message": {"error": {"message": HUGE, "details": HUGE}},
    "text": {"error": HUGE},
    "node-errors": {"error": {"message": HUGE}, "node_errors": {HUGE: NODE, "2": NODE}},
    "many-nodes": {"error": {"message": "m"}, "node_errors": {str(one): {"errors": []} for one in range(10_000)}},
}


def assert_bounded(message: Message) -> None:
    assert len(orjson.dumps(message.as_json())) < 2 * MAX_TEXT
    assert len(render(message, "en")) < 2 * MAX_TEXT
    assert len(render(message, "zh")) < 2 * MAX_TEXT


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_refusal_of_any_length_is_cut(answer: object) -> None:
    result = parse_submit_reply(Reply(400, orjson.dumps(answer)), "id")
    assert isinstance(result, events.PromptRefused)
    assert_bounded(result.message)


@pytest.mark.parametrize("answer", [{"prompt_id": HUGE}, {"prompt_id": "id", "node_errors": HUGE}, HUGE, [HUGE]])
def test_acceptance_of_any_length_is_cut(answer: object) -> None:
    result = parse_submit_reply(Reply(200, orjson.dumps(answer)), "id")
    assert isinstance(result, events.PromptRefused | events.SubmissionUnanswered), "an id of any length is not kept"
    assert_bounded(result.message)


def test_error_frame_of_any_length_is_cut() -> None:
    names = ("node_id", "node_type", "exception_type", "exception_message")
    data = {"prompt_id": "id", "traceback": [HUGE], **dict.fromkeys(names, HUGE)}
    event = decode(orjson.dumps({"type": "execution_error", "data": data}).decode())
    assert isinstance(event, events.PromptFailed)
    assert_bounded(event.message)


def test_unreadable_history_of_any_length_is_cut() -> None:
    extra = {"prompt": [0, HUGE, {}, {}, [HUGE]], "status": {"status_str": HUGE, "messages": []}}
    for entry in (HUGE, {HUGE: HUGE}, extra):
        for found in history_entries({"1": entry, "2": extra}):
            assert isinstance(found, UnreadableEntry)
            assert_bounded(found.error().message)


def test_failure_in_history_of_any_length_is_cut() -> None:
    names = ("node_id", "node_type", "exception_type", "exception_message")
    failure = ["execution_error", {"prompt_id": "1", **dict.fromkeys(names, HUGE)}]
    status = {"status_str": "error", "messages": [failure]}
    (entry,) = history_entries({"1": {"prompt": [0, "1", {}, {}, []], "status": status}})
    assert isinstance(entry, HistoryEntry)
    assert isinstance(entry.end, events.PromptFailed)
    assert_bounded(entry.end.message)


REPLIES = {
    "denied": Reply(401, HUGE.encode(), challenge=f"Basic realm={HUGE}"),
    "sign-in": Reply(302, b"", location=f"/login?next={HUGE}"),
    "redirect": Reply(302, b"", location=f"/{HUGE}"),
    "status": Reply(418, HUGE.encode()),
    "limited": Reply(429, HUGE.encode(), retry_after_s=1e300),
    "not-json": Reply(200, HUGE.encode()),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_answer_of_any_length_is_cut(reply: Reply) -> None:
    with pytest.raises(ComfyError) as raised:
        reply.raise_for_status().json_object()
    assert_bounded(raised.value.message)
    assert len(raised.value.raw) <= MAX_TEXT


def test_denial_keeps_a_bounded_text() -> None:
    assert len(AccessDeniedError("denied", HUGE).raw) <= MAX_TEXT
