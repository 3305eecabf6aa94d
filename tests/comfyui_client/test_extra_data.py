"""Credentials in extra_data: found in workflow files, hidden in quoted answers."""

import orjson
import pytest

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.comfyui.extra_data import credentials, without_credentials
from statemachine.i18n.render import sentence


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
