"""How the page renders a message from its code and parameters: ui/i18n.js, run by Node.js."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from statemachine.web.page import STATIC_DIR

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="Node.js is not installed")

CATALOGUE = {
    "en": {
        "missing": "the {kind} check is missing {keys}",
        "unfit": "workflow {workflow}: {problems}",
        "no_node": "no node class {name}",
        "http": "HTTP {status}",
    },
    "zh": {
        "missing": "{kind} 检查缺少 {keys}",
        "unfit": "工作流 {workflow}：{problems}",
        "no_node": "没有节点 {name}",
        "http": "HTTP {status}",
    },
}
HARNESS = """
globalThis.document = {
  getElementById: () => ({ textContent: JSON.stringify(%s) }),
  body: { dataset: { language: %s } },
};
%s
console.log(JSON.stringify(%s.map((entry) => messageText(entry))));
"""


def rendered(
    language: str, *entries: dict[str, Any], catalogue: dict[str, Any] = CATALOGUE, harness: str = HARNESS
) -> list[str]:
    """Return what the page shows for these entries."""
    texts = {name: {"message": messages} if messages else {} for name, messages in catalogue.items()}
    source = (STATIC_DIR / "ui" / "i18n.js").read_text(encoding="utf-8")
    script = harness % (json.dumps(texts), json.dumps(language), source, json.dumps(entries))
    assert NODE is not None
    command = [NODE, "--input-type=module", "-"]
    result = subprocess.run(command, input=script, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    shown: list[str] = json.loads(result.stdout)
    return shown


def entry(code: Any, params: Any) -> dict[str, Any]:
    return {"message": "what the daemon wrote", "message_code": code, "message_params": params}


def nested(code: str, **params: Any) -> dict[str, Any]:
    return {"code": code, "params": params}


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "the text check is missing a, b"), ("zh", "text 检查缺少 a、b")],
)
def test_message_with_list_uses_readers_language(language: str, expected: str) -> None:
    assert rendered(language, entry("missing", {"kind": "text", "keys": ["a", "b"]})) == [expected]


@pytest.mark.parametrize(
    ("language", "expected"),
    [("en", "workflow w: no node class A, HTTP 404"), ("zh", "工作流 w：没有节点 A、HTTP 404")],
)
def test_message_with_nested_messages_renders_them_too(language: str, expected: str) -> None:
    problems = [nested("no_node", name="A"), nested("http", status=404)]
    assert rendered(language, entry("unfit", {"workflow": "w", "problems": problems})) == [expected]


@pytest.mark.parametrize(
    ("code", "params"),
    [
        (None, {}),
        ("unheard_of", {"kind": "text"}),
        ("constructor", {}),
        ("missing", {"kind": "text"}),
        ("missing", None),
        ("unfit", {"workflow": "w", "problems": nested("unheard_of")}),
        ("unfit", {"workflow": "w", "problems": [nested("no_node", name="A"), nested("unheard_of")]}),
    ],
)
def test_message_that_cannot_be_rendered_falls_back(code: Any, params: Any) -> None:
    assert rendered("zh", entry(code, params)) == ["what the daemon wrote"]


def test_message_of_older_daemon_falls_back() -> None:
    assert rendered("zh", {"message": "old"}) == ["old"]
    assert rendered("zh", entry("http", {"status": 1}), catalogue={"en": {}, "zh": {}}) == ["what the daemon wrote"]


def test_message_parameters_are_inserted_verbatim() -> None:
    shown = rendered(
        "en",
        entry("no_node", {"name": "$& {name} <b>"}),
        entry("http", {"status": 0}),
        entry("http", {"status": 0.1 + 0.2}),
    )
    assert shown == ["no node class $& {name} <b>", "HTTP 0", "HTTP 0.3"]


def test_message_in_another_field_is_rendered_too() -> None:
    link = {"trouble": "what the daemon wrote", "trouble_code": "http", "trouble_params": {"status": 502}}
    script = HARNESS.replace("messageText(entry)", 'messageText(entry, "trouble")')
    assert rendered("en", link, harness=script) == ["HTTP 502"]


@pytest.mark.parametrize(("language", "said"), [("en", "Nov 29, 04:11"), ("zh", "11月29日 04:11")])
def test_time_with_its_epoch_seconds_is_the_readers_local_time(language: str, said: str) -> None:
    """The sentence of the daemon has it in UTC. The reader of this test is in Berlin."""
    catalogue = {"en": {"until": "paused until {until}"}, "zh": {"until": "paused until {until}"}}
    at = 1_795_921_860.0
    one = entry("until", {"until": "2026-11-29 03:11 UTC", "until_at": at})
    older = entry("until", {"until": "2026-11-29 03:11 UTC"})
    harness = 'process.env.TZ = "Europe/Berlin";' + HARNESS
    shown = rendered(language, one, older, catalogue=catalogue, harness=harness)
    assert shown == [f"paused until {said}", "paused until 2026-11-29 03:11 UTC"]
