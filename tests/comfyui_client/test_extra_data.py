"""Credentials in extra_data: found in workflow files, hidden in quoted answers."""

import orjson
import pytest

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.extra_data import credentials, without_credentials
from statemachine.i18n.render import sentence
from tests.comfyui_client.workflow_builders import LOADER, cache_node, parse, refusal


def test_credentials_are_texts_with_secret_names() -> None:
    extra = {"Authorization": "Bearer x", "tokens": ["a", "b"], "key": "pulid_model", "extra_pnginfo": {"token": "c"}}
    assert [one.get_secret_value() for one in credentials(extra)] == ["Bearer x", "a", "b"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"api_key_comfy_org": "k-1", "n": 1}', '{"api_key_comfy_org": "***", "n": 1}'),
        ('{"auth_token_comfy_org" : "a\\"b"}', '{"auth_token_comfy_org" : "***"}'),
        ('[{"password":"cut off he', '[{"password":"***'),
        ('{"key": "pulid_model", "token": null}', '{"key": "pulid_model", "token": null}'),
        ("缓存已加载。", "缓存已加载。"),
    ],
)
def test_without_credentials_hides_members_with_secret_names(text: str, expected: str) -> None:
    assert without_credentials(text) == expected


def test_not_understood_error_quotes_no_credentials() -> None:
    history = [{"prompt": [1, "p", {}, {"api_key_comfy_org": "users-key"}, []]}]
    error = NotUnderstoodError("not an object", 200, orjson.dumps(history).decode())
    assert "users-key" not in sentence(error.message) + error.raw
    assert "***" in error.raw


EXTRA = {
    "extra_pnginfo": {"workflow": {"nodes": [], "auth": "not-secret"}},
    "api_key_comfy_org": "comfyui-0123",
    "auth_token_comfy_org": "ey-abc",
    "service": {"Password": ["p-456", 7]},
    "note": "kept",
    "client_id": "browser",
    "create_time": 1,
    "comfywarm": {"attempt": "old"},
}


def test_parse_workflow_request_body_keeps_extra_data() -> None:
    graph = {"1": LOADER, "2": cache_node()}
    workflow = parse({"prompt": graph, "extra_data": EXTRA, "front": True, "number": 3})
    assert set(workflow.extra_data) == set(EXTRA) - {"client_id", "create_time", "comfywarm"}
    assert workflow.digest == parse(graph).digest
    assert [one.get_secret_value() for one in workflow.secrets()] == ["comfyui-0123", "ey-abc", "p-456"]
    assert "comfyui-0123" not in repr(workflow)
    assert parse({"prompt": graph, "extra_data": None}) == parse(graph)


@pytest.mark.parametrize("extra", [[], "text", 5])
def test_parse_workflow_extra_data_of_another_kind_is_refused(extra: object) -> None:
    error = refusal({"prompt": {"1": LOADER}, "extra_data": extra})
    assert str(error).startswith("w.json: extra_data must be an object, found ")
