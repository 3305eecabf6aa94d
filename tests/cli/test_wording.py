"""The reader's language: the settings' or, if it is not set, the locale's."""

import json
from pathlib import Path

import pytest

from statemachine.cli.wording import language_of_file, message_text, reader_language, reason_text
from statemachine.settings import parse_settings

SERVERS = {"servers": ["http://192.0.2.1"]}


@pytest.fixture(autouse=True)
def chinese_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")


@pytest.mark.parametrize(("keys", "expected"), [({}, "zh"), ({"language": "en"}, "en"), ({"language": "zh"}, "zh")])
def test_reader_language_prefers_the_settings(tmp_path: Path, keys: dict[str, str], expected: str) -> None:
    assert reader_language(parse_settings({**SERVERS, **keys}, tmp_path, {})) == expected
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"timing": 3, **keys}), encoding="utf-8")
    assert language_of_file(file) == expected


@pytest.mark.parametrize("content", [None, "", "[]", '"language"', '{"language": 7}', '{"language": "de"}'])
def test_language_of_an_unusable_file_is_the_locales(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    assert language_of_file(file) == "zh"


def test_message_text_renders_the_code_or_falls_back() -> None:
    error = {"message": "no such route", "message_code": "no_route", "message_params": {}}
    assert message_text(error, "zh") == "没有该接口（HTTP 404）"
    assert message_text({**error, "message_code": "of_tomorrow"}, "zh") == "no such route"
    assert message_text({**error, "message_params": 7}, "zh") == "no such route"
    assert message_text({"message": "of an older daemon"}, "zh") == "of an older daemon"


def test_reason_text_knows_notices_too() -> None:
    assert reason_text("fleet_vanished", "zh") == "大量服务器同时失联"
    assert reason_text("of_tomorrow", "zh") == "of_tomorrow"
    assert reason_text("fleet_vanished", "en") == "fleet_vanished"
