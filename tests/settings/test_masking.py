"""Secrets are masked in every encoding in which they may come back."""

import base64
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

import tests.alerts.loading  # noqa: F401 - imported for its side effect
from statemachine.settings import parse_settings
from statemachine.settings.masking import Mask, secrets_in

BASIC = base64.b64encode(b"operator:correct-horse").decode()
ECHOES = [
    ("Bearer tok-1234567", "you sent Bearer tok-1234567", "you sent ***"),
    ("Bearer tok-1234567", "your token tok-1234567 is old", "your token *** is old"),
    (f"Basic {BASIC}", f"Basic {BASIC}", "***"),
    (f"Basic {BASIC}", "no such user: operator:correct-horse", "no such user: ***"),
    (f"Basic {BASIC}", "wrong password correct-horse", "wrong password ***"),
    ("session=abcdefgh; theme=dark", "session abcdefgh ended, theme dark", "session *** ended, theme dark"),
    ('a "quoted" secret', '{"got": "a \\"quoted\\" secret"}', '{"got": "***"}'),
    ("with/slash+plus", f"?next={quote('with/slash+plus', safe='')}", "?next=***"),
    ("nats://user:correct%20horse@192.0.2.1", "not correct horse, nor correct%20horse", "not ***, nor ***"),
    ("nats://tok-1234567@192.0.2.1", "no token tok-1234567", "no token ***"),
    ("https://192.0.2.1/hooks/abcdef", "404 for /hooks/abcdef", "404 for /***"),
]


@pytest.mark.parametrize(("secret", "text", "masked"), ECHOES)
def test_mask_hides_secret_in_text_and_bytes(secret: str, text: str, masked: str) -> None:
    mask = Mask([SecretStr(secret)])
    assert mask.text(text) == masked
    assert mask.data(text.encode() + b"\xff") == masked.encode() + b"\xff"


def test_mask_short_value_is_not_masked() -> None:
    assert (
        Mask([SecretStr("1"), SecretStr("json"), SecretStr("")]).text('{"a": 1, "b": "json"}')
        == '{"a": 1, "b": "json"}'
    )


def test_secrets_in_settings_finds_all(tmp_path: Path) -> None:
    data = {
        "listen": {"token": "the-token"},
        "servers": [{"url": "http://127.0.0.1:1", "headers": {"A": "first-header", "B": "second-header"}}],
        "alerts": {
            "channels": {
                "service": {"apprise": ["json://127.0.0.1/service-path"]},
                "hook": {"webhook": "http://127.0.0.1/hook-path", "secret": "signing-secret-of-16"},
            }
        },
    }
    found = {secret.get_secret_value() for secret in secrets_in(parse_settings(data, tmp_path, {}))}
    assert found == {
        "the-token",
        "first-header",
        "second-header",
        "json://127.0.0.1/service-path",
        "http://127.0.0.1/hook-path",
        "signing-secret-of-16",
    }
