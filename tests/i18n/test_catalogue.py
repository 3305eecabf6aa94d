"""Every message code has a text in both languages, and every text is used."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import statemachine
from statemachine.core.messages import Message, message, verbatim
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Notice, Reason, Source, State
from statemachine.i18n import cli, messages
from statemachine.i18n.alerts import ALERTS
from statemachine.i18n.page import LABELS
from statemachine.i18n.reasons import NOTICE_MEANINGS, NOTICES, REASON_MEANINGS, REASONS
from statemachine.i18n.render import MESSAGES, PLACE, PUBLISHED, page_texts, render, sentence, worded
from statemachine.i18n.states import OUTCOMES, SOURCES, STATE_MEANINGS, STATES
from statemachine.i18n.text import Text, locale_language

PACKAGE = Path(statemachine.__file__).parent
CODE_MAKERS = {"message", "Message", "good", "bad", "care", "_export_again", "_two_units", "_help"}
ACTION_ERRORS = sorted({
    "not_found",
    *(
        code
        for name in ("auth.py", "responses.py")
        for code in re.findall(
            r"(?:ApiError|error_response)\([\w.]+, \"(\w+)\"", (PACKAGE / "web" / name).read_text("utf-8")
        )
    ),
})  # fmt: skip
"""The codes of the errors that an operator's action can end with."""
BUILT = (
    "help.",
    "cli.error.",
    "cli.unknown_",
    "reason.",
    "rollout.state.",
    "rollout.stage.",
    "rollout.reason.",
    "route.",
    "wanted.",
    "notice.",
    "alert.state.",
    "cli.heading.",
    "cli.warm",
    "cli.pause",
    "cli.resume",
    "cli.restart",
    "cli.group.",
)
"""Codes that the source puts together."""


def source_files() -> Iterator[Path]:
    return (path for path in PACKAGE.rglob("*.py") if path.parent.name != "i18n")


def literals() -> set[str]:
    """Return every text in the source outside of i18n."""
    trees = (ast.walk(ast.parse(path.read_text("utf-8"))) for path in source_files())
    return {
        node.value for tree in trees for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def used_codes() -> Iterator[tuple[str, str]]:
    """Yield each code that is passed to a function which makes messages, with its file."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) in CODE_MAKERS and node.args:
                for code in _codes(node.args[0]):
                    yield code, path.name


def _codes(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _codes(node.body)
        yield from _codes(node.orelse)


def test_every_code_in_the_source_has_a_text() -> None:
    assert {(code, file) for code, file in used_codes() if code not in MESSAGES} == set()


def test_every_text_of_the_catalogue_is_used() -> None:
    known = literals()
    unused = {code for code in MESSAGES if code not in known and not code.startswith(BUILT)}
    assert unused == set()


@pytest.mark.parametrize("code", ACTION_ERRORS)
def test_error_code_of_an_action_has_texts_for_page_and_cli(code: str) -> None:
    assert f"error_{code}" in LABELS
    assert f"cli.error.{code}" in MESSAGES


def places(text: str) -> list[str]:
    return sorted(PLACE.findall(text))


@pytest.mark.parametrize("code", [*MESSAGES, *LABELS])
def test_text_has_the_same_places_in_both_languages(code: str) -> None:
    text = MESSAGES[code] if code in MESSAGES else LABELS[code]
    assert places(text.en) == places(text.zh)
    assert text.en
    assert text.zh
    assert "{}" not in text.en


def test_no_code_stands_in_two_catalogues() -> None:
    parts: list[dict[str, Text]] = [messages.GENERAL, messages.TRANSITIONS, messages.WARM_UPS, messages.REQUESTS]
    parts += [ALERTS, cli.ACTIONS, cli.DAEMON_ACCESS, cli.DAEMON_ERRORS, cli.HEADINGS, cli.OTHERS]
    assert len(set().union(*parts)) == sum(map(len, parts))


def test_every_public_word_has_a_name_and_a_meaning() -> None:
    assert set(STATES) == set(STATE_MEANINGS) == set(State)
    assert set(REASONS) == set(REASON_MEANINGS) == set(Reason)
    assert set(NOTICES) == set(NOTICE_MEANINGS) == set(Notice)
    assert set(SOURCES) == set(Source)
    assert set(OUTCOMES) == set(Outcome)


def test_english_messages_are_lower_case_without_a_full_stop() -> None:
    bad = {
        code: text.en
        for code, text in MESSAGES.items()
        if not code.startswith(("cli.heading.", "help."))
        and (re.match(r"[A-Z][a-z]", text.en) or re.search(r"[^.…]\.$", text.en))
    }
    assert set(bad) <= {"alert.test_body"}


def test_page_has_the_published_messages_in_each_language() -> None:
    texts = page_texts()
    assert texts["zh"]["message"]["check_missing"] == PUBLISHED["check_missing"].zh
    assert texts["en"]["message"].keys() == texts["zh"]["message"].keys()
    assert not [code for code in texts["en"]["message"] if code.startswith(("cli.", "doctor.", "alert."))]


def test_render_of_an_unknown_code_returns_the_stored_text() -> None:
    assert render(Message("of_tomorrow", {"a": 1}, "as it was stored"), "zh") == "as it was stored"


def test_render_of_an_unknown_nested_code_returns_the_stored_text() -> None:
    nested = Message("check_failed", {"error": message("of_tomorrow")}, "as it was stored")
    assert render(nested, "zh") == "as it was stored"


def test_render_without_a_parameter_returns_the_stored_text() -> None:
    assert render(Message("check_failed", {}, "as it was stored"), "en") == "as it was stored"


def test_render_writes_numbers_without_trailing_zeros() -> None:
    assert render(message("no_answer_in", seconds=10.0), "en") == "no answer within 10 s"
    assert render(message("no_answer_in", seconds=0.25), "zh") == "0.25 秒内没有应答"


def test_worded_message_keeps_the_daemons_language() -> None:
    one = worded(message("no_route"), "zh")
    assert sentence(one) == "没有该接口（HTTP 404）"
    assert sentence(worded(one, "en")) == sentence(one)
    assert sentence(verbatim("x")) == "x"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
        ({"LANG": "C.UTF-8", "LC_ALL": ""}, "en"),
        ({"LANG": "de_DE"}, "en"),
    ],
)
def test_locale_language_follows_posix_precedence(environ: dict[str, str], expected: str) -> None:
    assert locale_language(environ) == expected
