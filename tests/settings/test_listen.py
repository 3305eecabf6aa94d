"""The section `listen`: named tokens, and the token that is required if other machines can reach the page."""

import json
from pathlib import Path

import pytest

from statemachine.settings import Settings, SettingsError, load_settings
from statemachine.settings.masking import Mask, secrets_in
from tests.settings.samples import parse, problems

SECRET = "a-secret-token-4711"


def load(folder: Path, **listen: object) -> Settings:
    path = folder / "settings.json"
    path.write_text(json.dumps({"servers": ["http://192.0.2.1:8188"], "listen": listen}), encoding="utf-8")
    return load_settings(path, {"ALICE": SECRET})


def test_tokens_are_texts_or_objects(tmp_path: Path) -> None:
    tokens = {"alice": "${ALICE}", "bob": {"token": "b"}, "卡罗": {"token": "c", "may": "read"}}
    listen = load(tmp_path, tokens=tokens).listen
    assert {name: one.may for name, one in listen.tokens.items()} == {"alice": "act", "bob": "act", "卡罗": "read"}
    assert [one.get_secret_value() for one in listen.secrets] == [SECRET, "b", "c"]


EXPOSED = [
    ("listen.host", {"host": "0.0.0.0"}),
    ("listen.host", {"host": "::"}),
    ("listen.host", {"host": "192.0.2.1"}),
    ("listen.host", {"host": "warm.example.org"}),
    ("listen.hosts", {"hosts": ["warm.example.org"]}),
    ("listen.hosts", {"host": "localhost", "hosts": ["localhost"]}),
]


@pytest.mark.parametrize(("key", "listen"), EXPOSED)
def test_exposed_page_without_token_is_refused(tmp_path: Path, key: str, listen: dict[str, object]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **listen)
    (problem,) = caught.value.problems
    assert problem.path == "listen.tokens"
    assert f"not set, although {key} lets other machines reach the page; add one" in str(problem)


@pytest.mark.parametrize("token", [{"token": SECRET}, {"tokens": {"alice": "${ALICE}"}}])
@pytest.mark.parametrize("listen", [listen for _, listen in EXPOSED])
def test_exposed_page_with_token_is_accepted(
    tmp_path: Path, listen: dict[str, object], token: dict[str, object]
) -> None:
    assert load(tmp_path, **listen, **token).listen.secrets


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "warm.localhost", "::ffff:127.0.0.1"])
def test_page_on_loopback_needs_no_token(tmp_path: Path, host: str) -> None:
    assert not load(tmp_path, host=host).listen.secrets


WRONG = {
    "an object with token and may": {"alice": 7},
    "printable ASCII without spaces": {"alice": ""},
    "not empty": {"alice": f"{SECRET} x"},
    "required key is missing": {"alice": {"may": "act"}},
    "one of 'act', 'read'": {"alice": {"token": "a", "may": SECRET}},
    'did you mean "token"?': {"alice": {"tokn": SECRET, "token": "a"}},
    "without / \\ ? # %": {"a/b": SECRET},
    "a different token for each name": {"alice": SECRET, "bob": {"token": SECRET, "may": "read"}},
}


@pytest.mark.parametrize("part", WRONG)
def test_wrong_tokens_are_refused_without_showing_them(part: str) -> None:
    found = problems(listen={"tokens": WRONG[part]})
    text = "\n".join(str(problem) for problem in found.values())
    assert part in text
    assert all(path.startswith("listen.tokens") for path in found)
    assert SECRET not in text


def test_named_token_equal_to_listen_token_is_refused() -> None:
    assert set(problems(listen={"token": SECRET, "tokens": {"alice": SECRET}})) == {"listen.tokens.alice"}


def test_named_tokens_are_masked() -> None:
    settings = parse({"T": SECRET}, listen={"tokens": {"alice": "${T}", "bob": {"token": "another-secret-99"}}})
    assert SECRET not in repr(settings)
    assert Mask(secrets_in(settings)).text(f"{SECRET} another-secret-99") == "*** ***"
