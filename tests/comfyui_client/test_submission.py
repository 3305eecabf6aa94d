"""The answer to POST /prompt: accepted, refused or uncertain; and the request's body."""

from typing import Any

import orjson
import pytest

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import NotAnsweringError, RateLimitedError
from statemachine.comfyui.records import Marker
from statemachine.comfyui.submit_replies import parse_submit_reply
from statemachine.comfyui.transport import Reply
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason, Source
from statemachine.i18n.render import sentence
from tests.comfyui_client.fakes import FakeTransport, json_reply, text_reply
from tests.transcript import recorded

POSTS = [
    line for line in recorded("07_refused_and_misdirected") if line.get("request", "").startswith("POST /")
]  # fmt: skip


def recorded_reply(line: dict[str, Any]) -> Reply:
    body = orjson.dumps(line["json"]) if "json" in line else line.get("text", "").encode()
    return Reply(line["status"], body)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (0, "unanswered"),  # POST /queue: 200 and empty
        (1, "refused"),
        (2, "refused"),
        (3, "unanswered"),
        (4, "unanswered"),
        (5, "unanswered"),
        (6, "refused"),
        (7, "refused"),
        (8, "refused"),
        (9, "unanswered"),
        (10, "partly"),
        (11, "accepted"),
    ],
)
def test_parse_submit_reply_recorded_answers(number: int, kind: str) -> None:
    answer = parse_submit_reply(recorded_reply(POSTS[number]), "ours")
    if kind == "unanswered":
        assert isinstance(answer, e.SubmissionUnanswered)
        assert answer.answered
    elif kind == "accepted":
        assert answer == e.PromptAccepted("ours", "None", Source.REPLY)
    else:
        assert isinstance(answer, e.PromptRefused)
        assert answer.still_runs is (kind == "partly")
        assert answer.reason is Reason.PROMPT_REFUSED


def test_recording_has_twelve_posts() -> None:
    assert len(POSTS) == 12


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, "the server refused the workflow: Prompt has no outputs"),
        (2, "the server refused the workflow: No prompt provided: No prompt provided"),
        (
            6,
            "the server refused the workflow: Cannot execute because node NoSuchNode does not exist.: Node ID '#1'",
        ),
        (
            8,
            (
                "the server refused the workflow: Prompt outputs failed validation: "
                "node 20 (CacheBackendData //Inspire): Required input is missing: tag, Required input is missing: data"
            ),
        ),
        (
            10,
            (
                "the server dropped a part of the workflow and runs the rest: node 31 (CacheBackendData //Inspire): "
                "Required input is missing: tag, Required input is missing: data"
            ),
        ),
    ],
)
def test_parse_submit_reply_refusal_quotes_server(number: int, expected: str) -> None:
    answer = parse_submit_reply(recorded_reply(POSTS[number]), "ours")
    assert isinstance(answer, e.PromptRefused)
    assert sentence(answer.message) == expected


def refusal(kind: str, text: str, details: str, **more: object) -> dict[str, object]:
    error = {"type": kind, "message": text, "details": details, "extra_info": more}
    return {"error": error, "node_errors": {}}


CYCLE = "10 (A) -> 11 (B) -> 10 (A)"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            refusal(
                "missing_node_type",
                "Node 'Fast sampler' not found. The custom node may not be installed.",
                "Node ID '#3'",
                node_id="3",
                class_type="FastSampler",
                node_title="Fast sampler",
            ),
            "node 3 (FastSampler): Node 'Fast sampler' not found. The custom node may not be installed.",
        ),
        (
            refusal("missing_node_type", "Node 'x' has no class_type.", "Node ID '#3'", node_id="3", class_type=None),
            "Node 'x' has no class_type.: Node ID '#3'",
        ),
        (
            refusal("invalid_prompt_id", "prompt_id must be a valid UUID", "omit it"),
            "prompt_id must be a valid UUID: omit it",
        ),
        (
            refusal("prompt_outputs_failed_validation", "Prompt outputs failed validation", "")
            | {
                "node_errors": {
                    "10": {
                        "class_type": "A",
                        "errors": [{"type": "dependency_cycle", "message": "Dependency cycle", "details": CYCLE}],
                    }
                }
            },
            f"Prompt outputs failed validation: node 10 (A): Dependency cycle: {CYCLE}",
        ),
        ({"error": "no_prompt"}, "no_prompt"),
        ({"error": "no prompt", "node_errors": []}, "no prompt"),
    ],
)
def test_parse_submit_reply_refusals_of_other_versions(answer: dict[str, object], expected: str) -> None:
    event = parse_submit_reply(json_reply(answer, 400), "ours")
    assert isinstance(event, e.PromptRefused)
    assert event.reason is Reason.PROMPT_REFUSED
    assert sentence(event.message) == f"the server refused the workflow: {expected}"


DEEP = "[" * 800 + "]" * 800


@pytest.mark.parametrize(
    ("body", "details"),
    [
        (f'{{"error": {DEEP}}}', "(nested too deeply)"),
        (f'{{"error": {{"message": {DEEP}, "details": {DEEP}}}}}', "(nested too deeply): (nested too deeply)"),
        (f'{{"error": "no", "node_errors": {{"7": {{"class_type": {DEEP}}}}}}}', "no: node 7 ((nested too deeply)): "),
    ],
)
def test_parse_submit_reply_deeply_nested_refusal_is_refused(body: str, details: str) -> None:
    answer = parse_submit_reply(text_reply(body, 400), "ours")
    assert isinstance(answer, e.PromptRefused)
    assert sentence(answer.message) == f"the server refused the workflow: {details}"


@pytest.mark.parametrize(
    "reply",
    [
        text_reply(""),
        json_reply({}),
        json_reply([]),
        json_reply("accepted"),
        text_reply("<html>"),
        json_reply({"exec_info": {"queue_remaining": 0}}),
        json_reply({"prompt_id": None, "number": 1, "node_errors": {}}),
        json_reply({"prompt_id": 7, "number": 1, "node_errors": {}}),
        json_reply({"prompt_id": "ours", "number": 1}, 201),
        text_reply("500 Internal Server Error", 500),
        text_reply("404: Not Found", 404),
        text_reply("405: Method Not Allowed", 405),
        text_reply("bad request", 400),
        json_reply({}, 400),
        json_reply({"message": "a proxy's own words"}, 400),
    ],
)
def test_parse_submit_reply_unknown_answer_is_uncertain(reply: Reply) -> None:
    answer = parse_submit_reply(reply, "ours")
    assert isinstance(answer, e.SubmissionUnanswered)
    assert answer.answered
    assert sentence(answer.message).startswith("POST /prompt")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (json_reply({"error": "Authentication required"}, 401), Reason.ACCESS_DENIED),
        (text_reply("", 403), Reason.ACCESS_DENIED),
        (text_reply("", 302, "/login"), Reason.ACCESS_DENIED),
        (text_reply("", 407), Reason.ACCESS_DENIED),
        (text_reply("", 303, "https://accounts.example/o/oauth2/v2/auth?x=1"), Reason.ACCESS_DENIED),
        (text_reply("", 301, "https://192.0.2.1/prompt"), Reason.PROMPT_REFUSED),
        (text_reply("", 302, "http://192.0.2.1/prompt"), Reason.PROMPT_REFUSED),
        (text_reply("", 308, "https://192.0.2.1/prompt"), Reason.PROMPT_REFUSED),
        (text_reply("too large", 413), Reason.PROMPT_REFUSED),
    ],
)
def test_parse_submit_reply_rejected_post_is_refused(reply: Reply, reason: Reason) -> None:
    answer = parse_submit_reply(reply, "ours")
    assert isinstance(answer, e.PromptRefused)
    assert (answer.reason, answer.still_runs) == (reason, False)
    assert not reply.location.startswith("http") or reply.location in sentence(answer.message)


def test_parse_submit_reply_keeps_servers_own_id() -> None:
    answer = parse_submit_reply(json_reply({"prompt_id": "theirs", "number": 1, "node_errors": {}}), "ours")
    assert answer == e.PromptAccepted("ours", "theirs", Source.REPLY)


def test_parse_submit_reply_limited_post_raises() -> None:
    with pytest.raises(RateLimitedError):
        parse_submit_reply(text_reply("slow down", 429), "ours")


@pytest.mark.parametrize(("status", "error"), [(404, NotAnsweringError), (429, RateLimitedError)])
async def test_submit_absent_route_asks_whether_comfyui_is_there(status: int, error: type[Exception]) -> None:
    transport = FakeTransport({"POST /prompt": text_reply("", 404), "/prompt": text_reply("", status)})
    with pytest.raises(error):
        await ComfyClient(transport).submit({}, MARKER, None, front=False)
    assert transport.requests == ["POST /prompt", "/prompt"]


async def test_submit_absent_route_of_comfyui_is_uncertain() -> None:
    transport = FakeTransport({"POST /prompt": text_reply("", 404)})
    answer = await ComfyClient(transport).submit({}, MARKER, None, front=False)
    assert isinstance(answer, e.SubmissionUnanswered)
    assert answer.answered


@pytest.mark.parametrize("status", [408, 460, 502, 503, 504, 509, 520, 522, 524, 527, 530, 561])
def test_parse_submit_reply_proxy_error_raises(status: int) -> None:
    with pytest.raises(NotAnsweringError):
        parse_submit_reply(text_reply("Bad Gateway", status), "ours")


@pytest.mark.parametrize("errors", [["x"], "x", 5, {"1": None}, {"1": {"errors": 3}}, {"1": {"errors": [None]}}])
def test_parse_submit_reply_any_node_errors_are_partial_refusal(errors: object) -> None:
    answer = parse_submit_reply(json_reply({"prompt_id": "p", "node_errors": errors}), "ours")
    assert isinstance(answer, e.PromptRefused)
    assert answer.still_runs


MARKER = Marker("ours", "w", "digest")


async def test_submit_body_has_prompt_id_and_marker() -> None:
    transport = FakeTransport({"/prompt": json_reply({"prompt_id": "ours", "number": 1, "node_errors": {}})})
    await ComfyClient(transport).submit({"1": {}}, MARKER, "c1", front=False)
    assert transport.requests == ["POST /prompt"]
    assert transport.bodies == [
        {
            "prompt": {"1": {}},
            "prompt_id": "ours",
            "client_id": "c1",
            "extra_data": {"comfywarm": {"attempt": "ours", "workflow": "w", "digest": "digest"}},
        }
    ]


async def test_submit_extra_data_is_merged_with_marker() -> None:
    transport = FakeTransport({"/prompt": json_reply({})})
    extra = {"api_key_comfy_org": "k", "comfywarm": "theirs"}
    await ComfyClient(transport).submit({}, MARKER, None, front=False, extra_data=extra)
    assert transport.bodies[0]["extra_data"] == {"api_key_comfy_org": "k", "comfywarm": MARKER.as_json()}


async def test_submit_front_and_client_id_are_optional() -> None:
    transport = FakeTransport({"/prompt": json_reply({})})
    await ComfyClient(transport).submit({}, MARKER, None, front=True)
    assert transport.bodies[0]["front"] is True
    assert "client_id" not in transport.bodies[0]
