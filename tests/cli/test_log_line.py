"""Lines of the event log: alignment, and escaping of control characters."""

import orjson
import pytest
from rich.cells import cell_len

from statemachine.cli.log_reader import event_answer
from statemachine.cli.tail import LineMaker, json_line
from statemachine.core.log_entry import notice_entry
from statemachine.core.messages import one_line
from statemachine.core.vocabulary import Notice, State
from statemachine.i18n.text import Language
from tests.web.site import COLD, NOW, transition_entry

STATES = [transition_entry(COLD, "m")._replace(source=source, dest=dest) for source in State for dest in State]


def column(line: str, mark: str) -> int:
    """Return the column of the mark, in terminal cells."""
    assert mark in line
    return cell_len(line[: line.index(mark)])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_line_arrows_and_reasons_are_aligned(language: Language) -> None:
    names = ["a", "农场 1", COLD]
    maker = LineMaker(language, names)
    entries = [one._replace(server=names[number % 3]) for number, one in enumerate(STATES)]
    lines = [maker.line(event_answer(entry)).plain for entry in entries]
    reason = "keys_missing" if language == "en" else "缺少缓存键"
    assert len({column(line, "→") for line in lines}) == 1
    assert len({column(line, reason) for line in lines}) == 1
    assert len({column(line, "  m") for line in lines}) == 1


def test_line_of_notice_keeps_the_columns() -> None:
    maker = LineMaker("en", [COLD])
    notice = maker.line(event_answer(notice_entry(Notice.FLEET_VANISHED, NOW))).plain
    assert column(notice, "fleet_vanished") == column(maker.line(event_answer(STATES[0])).plain, "keys_missing")


def test_line_long_name_shifts_only_its_own_line() -> None:
    maker = LineMaker("en", ["x" * 100, COLD])
    assert column(maker.line(event_answer(STATES[0])).plain, "→") < 100


def test_line_colours_states_and_names_them() -> None:
    line = LineMaker("en", [COLD]).line(event_answer(transition_entry(COLD, "m")))
    assert {str(span.style) for span in line.spans} >= {"cyan", "yellow", "bold"}
    assert "checking → cold" in line.plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two\nlines\r\nand\tmore", "two lines and more"),
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("\x9b31mred", "\\x9b31mred"),
        ("\a\b", "\\x07\\x08"),
        ("turned \u202e round", "turned \\u202e round"),
        ("缓存已加载。 ✓", "缓存已加载。 ✓"),
    ],
)
def test_line_control_characters_are_escaped(text: str, expected: str) -> None:
    assert one_line(text) == expected
    entry = event_answer(transition_entry(COLD, text)._replace(server=f"name {text}"))
    assert LineMaker("en", []).line(entry).plain.count(expected) == 2


def test_json_line_has_no_line_breaks() -> None:
    assert json_line(event_answer(transition_entry(COLD, "two\nlines"))).count(b"\n") == 0


def test_json_line_is_safe_on_a_terminal_and_the_same_json() -> None:
    text = "农场 \x1b[31m \x9b2J \u202e \u2066 \u2028 \x85 \u200f \U000e0041 \n é 😀"
    entry = event_answer(transition_entry(COLD, text))
    line = json_line(entry).decode()
    assert line.isprintable()
    assert orjson.loads(line) == orjson.loads(orjson.dumps(entry))
    assert "农场" in line
    assert "é 😀" in line
