"""The settings section `alerts`: errors by key path and without secrets, and the examples in docs/alerts.md."""

import json
import re
from typing import Any

import pytest

from statemachine.settings.apprise_urls import is_understood
from tests.settings.samples import parse, problems
from tests.support.paths import DOCS

PAGE = (DOCS / "alerts.md").read_text(encoding="utf-8")
HOOK = {"webhook": "http://127.0.0.1:9/x", "secret": "sixteen notifications!"}
RULE = {"name": "down", "to": ["hook"]}


def alerts(*rules: dict[str, Any], **channels: Any) -> dict[str, Any]:
    return {"rules": list(rules), "channels": channels or {"hook": HOOK}}


@pytest.mark.parametrize(
    ("section", "path", "allowed"),
    [
        (alerts({**RULE, "to": ["hok"]}), "alerts.rules[0].to[0]", "a key of alerts.channels: hook"),
        (alerts({**RULE, "to": []}), "alerts.rules[0].to", "at least one channel"),
        (alerts({"name": "down"}), "alerts.rules[0].to", "required key is missing"),
        (alerts({**RULE, "reasons": ["out_of_memry"]}), "alerts.rules[0].reasons[0]", "out_of_memory"),
        (alerts({**RULE, "states": ["loaded"]}), "alerts.rules[0].states[0]", "'unreachable'"),
        (alerts({**RULE, "notices": ["fleet_back"]}), "alerts.rules[0].notices[0]", "'fleet_vanished'"),
        (alerts({**RULE, "groups": ["labb"]}), "alerts.rules[0].groups[0]", "a group of servers: lab"),
        (alerts({**RULE, "for": 5}), "alerts.rules[0].for", '"for_s"'),
        (alerts({**RULE, "for_s": -1}), "alerts.rules[0].for_s", "at least 0"),
        (alerts(RULE, RULE), "alerts.rules[1].name", "once"),
        (alerts(hook={"apprise": ["tokn://SECRET"]}), "alerts.channels.hook.apprise[0]", "apprise understands"),
        (alerts(hook={"apprise": ["feishu://SECRET$"]}), "alerts.channels.hook.apprise[0]", "apprise understands"),
        (alerts(hook={"apprise": []}), "alerts.channels.hook", "at least one URL"),
        (alerts(hook={**HOOK, "apprise": ["json://SECRET"]}), "alerts.channels.hook", 'either "apprise"'),
        (alerts(hook={"webhook": "http://SECRET"}), "alerts.channels.hook", '"webhook" and "secret" together'),
        (alerts(hook={**HOOK, "secret": "SECRET"}), "alerts.channels.hook.secret", "at least 16 characters"),
        (alerts(hook={**HOOK, "webhook": "ftp://SECRET"}), "alerts.channels.hook.webhook", "an http or https URL"),
        (alerts(hook={**HOOK, "webhook": "http://[SECRET"}), "alerts.channels.hook.webhook", "an http or https URL"),
        (alerts(hook={**HOOK, "secrt": "SECRET"}), "alerts.channels.hook.secrt", '"secret"'),
        (alerts(hook="feishu://SECRET"), "alerts.channels.hook", "an object"),
    ],
)
def test_settings_error_names_path_and_hides_secret(section: dict[str, Any], path: str, allowed: str) -> None:
    found = problems(servers=[{"url": "http://192.0.2.1:8188", "group": "lab"}], alerts=section)
    assert allowed in str(found[path])
    assert "SECRET" not in str(list(found.values()))


def test_settings_secrets_from_environment_are_hidden() -> None:
    section = alerts(RULE, hook={"webhook": "${HOOK}", "secret": "${KEY}"}, ops={"apprise": ["${FEISHU}"]})
    environ = {"HOOK": "https://192.0.2.9/SECRET", "KEY": "SECRET-of-sixteen", "FEISHU": "feishu://SECRET"}
    settings = parse(environ, alerts=section)
    assert settings.alerts.channels["ops"].apprise[0].get_secret_value() == "feishu://SECRET"
    assert "SECRET" not in repr(settings) + settings.model_dump_json()


def test_settings_default_has_no_rules() -> None:
    assert parse().alerts.rules == ()


def test_docs_example_is_valid() -> None:
    example = json.loads(PAGE.split("```json")[1].split("```")[0])
    settings = parse({"FEISHU_URL": "feishu://token", "HOOK_SECRET": "0123456789abcdef"}, **example)
    assert [rule.name for rule in settings.alerts.rules] == ["network and journal", "down", "not warm"]


@pytest.mark.parametrize("text", re.findall(r"`(\{\"name\".*?\})` \|", PAGE))
def test_docs_rules_are_valid(text: str) -> None:
    section = {"rules": [json.loads(text)], "channels": {"ops": HOOK}}
    parse(servers=[{"url": "http://192.0.2.1:8188", "group": "lab"}], alerts=section)


@pytest.mark.parametrize("url", re.findall(r"^\| [^|]+ \| `([a-z]+://[^`]+)` \|", PAGE, re.MULTILINE))
def test_docs_addresses_are_valid(url: str) -> None:
    assert is_understood(url)
