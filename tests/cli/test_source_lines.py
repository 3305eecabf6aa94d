"""`status` names the sources of servers that are in trouble, in the reader's language."""

import re

import pytest

from statemachine.cli.context import SafeConsole
from statemachine.cli.source_lines import source_lines
from statemachine.cli.status import View
from statemachine.client.answers import ServerAnswer, SourceAnswer, StatusAnswer
from statemachine.i18n.text import Language

WELL: SourceAnswer = {
    "name": "rack",
    "kind": "file",
    "servers": 3,
    "missing": 1,
    "answered_at": "2026-01-01T00:00:00.000Z",
    "failures": 0,
    "error": None,
    "held": None,
    "refusals": [],
    "refused_total": 0,
}
EARLIER: SourceAnswer = {
    "name": "rack",
    "kind": "file",
    "servers": 3,
    "missing": 0,
    "answered_at": None,
    "failures": 4,
    "error": "the source is away",
}
"""The answer of a daemon of an earlier checkout."""
FAILING: SourceAnswer = {
    **WELL,
    "failures": 4,
    "error": "HTTP status 503; 200 is expected",
    "error_code": "source_status",
    "error_params": {"status": 503},
}
HELD: SourceAnswer = {
    **WELL,
    "held": "2 of 3 servers are missing; at most 1 are removed within 300 s",
    "held_code": "targets_held",
    "held_params": {"vanished": 2, "known": 3, "count": 1, "seconds": 300.0},
}
REFUSING: SourceAnswer = {
    **WELL,
    "refusals": [
        {"message": f"gpu{place}:8188: a newer reason", "message_code": "of_a_newer_daemon"} for place in (1, 2, 3)
    ],
    "refused_total": 9,
}
SERVER: ServerAnswer = {
    "name": "a",
    "group": "g",
    "state": "cold",
    "since": None,
    "reason": "keys_missing",
    "message": "",
    "cache_loaded": False,
    "progress": None,
    "queue_remaining": 0,
}


def lines(*sources: SourceAnswer, language: Language = "en") -> list[str]:
    return [line.plain for line in source_lines(sources, language)]


@pytest.mark.parametrize(
    ("source", "english", "chinese"),
    [
        (
            FAILING,
            "HTTP status 503; 200 is expected; failures in a row: 4; .*repair it",
            "HTTP 状态 503.*连续失败 4 次",
        ),
        (HELD, "2 of 3 servers are missing; .* 300 s; add those", "3 台中有 2 台缺失.*重新加入"),
        (REFUSING, "not used: gpu1:8188: .*; gpu2:8188: .*; and 7 more; correct this", "未采用：gpu1.*另外 7 项.*更正"),
    ],
)
def test_line_says_what_is_wrong_and_what_helps(source: SourceAnswer, english: str, chinese: str) -> None:
    assert re.match(f"source rack \\(file\\): {english}", lines(source)[0])
    assert re.match(f"来源 rack（file）：{chinese}", lines(source, language="zh")[0])


def test_source_that_is_well_has_no_line() -> None:
    assert lines(WELL, FAILING, WELL) == lines(FAILING)


def test_source_of_an_earlier_daemon_has_a_line() -> None:
    (line,) = lines(EARLIER)
    assert line.startswith("source rack (file): the source is away; failures in a row: 4;")


def test_troubles_of_one_source_share_a_line() -> None:
    (line,) = lines({**FAILING, "refusals": REFUSING["refusals"], "refused_total": 9})
    assert ["HTTP status 503" in line, "not used: gpu1" in line] == [True, True]


def test_lines_leave_less_room_for_servers_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    servers = [SERVER] * 30
    status: StatusAnswer = {"generated_at": "2026-01-01T00:00:00Z", "servers": servers, "states": {}, "total": 30}
    shown = View(status, {"sources": [FAILING, HELD]}).lines("en", SafeConsole()).plain.splitlines()
    assert sum(-(-len(line) // 80) for line in shown) == 23, "the last line is the prompt's"


def test_line_escapes_what_a_source_sends() -> None:
    (line,) = lines({**FAILING, "error": "a\n\x1b[2J", "error_code": None})
    assert line.isprintable()
