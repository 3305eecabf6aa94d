"""Shell completion offers commands, servers, groups, states and reason codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from statemachine.cli.main import app
from tests.cli.rig import write_settings

SERVERS = [
    {"url": "http://192.0.2.1:8188", "name": "alpha", "group": "images"},
    {"url": "http://192.0.2.2:8188", "name": "beta", "group": "videos"},
]


def offered(settings: Path, line: str) -> list[str]:
    """Return what bash would offer for the last word of the line."""
    words = ["comfywarm", "--settings", str(settings), *line.split(" ")]
    environment = {
        "_COMFYWARM_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    return CliRunner().invoke(app, [], env=environment).stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("stat", ["status"]),
        ("status --group ", ["images", "videos"]),
        ("status --state unr", ["unreachable"]),
        ("tail --server be", ["beta"]),
        ("tail --reason workflow_m", ["workflow_missing"]),
        ("pause al", ["alpha"]),
        ("doctor be", ["beta"]),
        ("haproxy --group i", ["images"]),
    ],
)
def test_completion_offers_known_names(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert offered(write_settings(tmp_path, servers=SERVERS), line) == expected


def test_completion_with_invalid_settings_offers_no_names(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("{")
    assert offered(tmp_path / "settings.json", "pause ") == []
