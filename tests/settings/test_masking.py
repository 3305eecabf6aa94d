"""Secrets are masked in every encoding in which they may come back."""

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

import tests.alerts.loading  # noqa: F401 - imported for its side effect
from statemachine.settings import parse_settings
from statemachine.settings.escapes import MAX_ESCAPES
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
    ("nats://user:correct%20horse@192.0.2.1", f"sent {base64.b64encode(b'user:correct horse').decode()}", "sent ***"),
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


def _json(one: str) -> str:
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else json.dumps(one)[1:-1]


def _octets(text: str, one: str) -> str:
    return "".join(text.format(octet) for octet in one.encode())


ENCODINGS: list[Callable[[str], str]] = [
    _json,
    lambda one: _json(one).upper().replace("\\U", "\\u"),
    lambda one: _octets("%{:02x}", one),
    lambda one: _octets("%{:02X}", one),
    lambda one: _octets("\\x{:02x}", one),
    lambda one: f"\\u{{{ord(one):x}}}",
    lambda one: f"&#{ord(one)};",
    lambda one: f"&#x{ord(one):X};",
    lambda one: f"\\U{ord(one):08x}",
    lambda one: _octets("\\{:03o}", one),
    html.escape,
    lambda one: f"\\{one}" if one in "\\/\"'" else one,
    lambda one: "+" if one == " " else one,
]
"""Ways to write one character of a secret."""

SECRETS = st.lists(st.sampled_from("abcXYZ0189-_.~+/= :&<>\"'$ü漢😀"), min_size=8, max_size=24, unique=True).map(
    "".join
)
SURROUNDINGS = st.text("ghijkl ,.;:{}[]\"'()漢\n", max_size=20)


@st.composite
def encoded(draw: st.DrawFn, secret: str) -> str:
    """Return the secret with each character encoded up to two times. A backslash is always encoded."""

    def written(one: str) -> str:
        return draw(st.sampled_from(ENCODINGS))(one) if draw(st.booleans()) else one

    text = secret
    for _ in range(draw(st.integers(0, 2))):
        text = "".join(changed if (changed := written(one)) != "\\" else "\\\\" for one in text)
    return text


@given(data=st.data(), secret=SECRETS, before=SURROUNDINGS, after=SURROUNDINGS)
def test_mask_hides_secret_in_any_mixture_of_escapes(data: st.DataObject, secret: str, before: str, after: str) -> None:
    assume(secret == secret.strip() and not re.search(r"(?<!^)[;]|://", secret))
    echo = data.draw(encoded(secret))
    assert Mask([SecretStr(secret)]).text(f"{before}{echo}{after}") == f"{before}***{after}"


@given(text=st.text("abc\\u0041%4x2f&amp;#;漢\n\"'/+ ", max_size=200))
def test_mask_leaves_a_text_without_the_secret(text: str) -> None:
    assert Mask([SecretStr("zzzz-zzzz-zzzz")]).text(text) == text


def test_mask_hides_what_has_too_many_escapes_to_search() -> None:
    mask = Mask([SecretStr("the-secret-word")])
    data = mask.data(b"%41" * (MAX_ESCAPES + 5) + b"%74he-secret-word")
    assert data == b"%41" * MAX_ESCAPES + b"***"


def test_mask_hides_what_has_too_many_escapes_on_several_levels() -> None:
    secret = "the-secret-word"
    twice = quote(quote(f"{secret}/")).replace("t", "%2574", 1)
    for count in (MAX_ESCAPES - 1, MAX_ESCAPES, MAX_ESCAPES + 1, 10 * MAX_ESCAPES):
        hidden = Mask([SecretStr(secret)]).text("%2541" * count + twice)
        assert hidden.endswith(("***", "***%252F"))
        assert "he-secret" not in hidden


@pytest.mark.parametrize(
    "echo",
    [
        "s3cret&amp;of&lt;kinds&gt;",
        "s3cret&ampof&ltkinds&gt",
        "s3cret&AMPof&LTkinds&GT",
        "s3cret&#38of&#x3Ckinds&#62",
        "s3cret&amp&#x6F&#x66&lt;&#107inds&gt;",
    ],
)
def test_mask_hides_secret_with_entities_without_semicolon(echo: str) -> None:
    assert Mask([SecretStr("s3cret&of<kinds>")]).text(f"({echo})") == "(***)"


CUT_SECRET = "Bearer the-secret/word-of-many-characters"


@pytest.mark.parametrize("written", [str, quote, lambda text: quote(quote(text)), html.escape, json.dumps])
def test_mask_hides_beginning_of_secret_at_a_cut(written: Callable[[str], str]) -> None:
    """A text that is cut anywhere shows at most five characters of the secret."""
    mask, text = Mask([SecretStr(CUT_SECRET)]), written(f"(sent: {CUT_SECRET}")
    for size in range(text.index("the-sec") + 6, len(text)):
        shown = unquote(unquote(mask.text(text[:size], is_cut=True)))
        assert "the-sec" not in shown, text[:size]


def test_mask_of_cut_text_leaves_other_ends() -> None:
    mask = Mask([SecretStr(CUT_SECRET)])
    for text in ("", "%", "\\", "it has no Bear", "the", "&am", "x" * 20_000):
        assert mask.text(text, is_cut=True) == text


def test_mask_leaves_many_escapes_without_secret() -> None:
    """A Windows server lists some ten thousand files with backslashes."""
    data = b'"loras\\\\sub\\\\file.safetensors", ' * MAX_ESCAPES
    assert Mask([SecretStr("the-secret-word")]).data(data) == data
