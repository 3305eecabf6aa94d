"""Help texts: one for each command and parameter, in the reader's language."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from statemachine.cli.main import app
from statemachine.i18n.help import COMMANDS, PARAMETERS

GROUP: Any = typer.main.get_command(app)
NESTED = ("node", "rollout")


def help_of(arguments: list[str], **environ: str) -> str:
    env = {"COLUMNS": "200", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "", "TERM": "dumb", **environ}
    return CliRunner().invoke(app, arguments, env=env, catch_exceptions=False).output


def test_help_texts_are_those_of_the_commands_and_parameters() -> None:
    inner = {f"{group}-{name}": one for group in NESTED for name, one in GROUP.commands[group].commands.items()}
    named = {"comfywarm": GROUP, **GROUP.commands, **inner}
    assert COMMANDS.keys() == {f"help.{name}" for name in named}
    parameters = {f"help.{name}.{one.name}" for name, command in named.items() for one in command.params}
    assert PARAMETERS.keys() - {"help.help"} == parameters


@pytest.mark.parametrize(
    "arguments", [["--help"], ["node", "install", "--help"], *([name, "--help"] for name in GROUP.commands)]
)
def test_help_follows_the_locale(arguments: list[str]) -> None:
    english, chinese = help_of(arguments, LANG="en_GB.UTF-8"), help_of(arguments, LANG="zh_CN.UTF-8")
    assert english.isascii() or "✗" in english or "╭" in english
    assert "Show this message and exit." in english
    assert "显示本帮助并退出" in chinese
    assert "Show this message" not in chinese
    assert not {"Options", "Usage", "OPTIONS", "ARGS", "default"} & set(re.findall(r"\w+", chinese))
    assert "Usage: " in english


def test_help_prefers_the_language_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(json.dumps({"language": "zh"}), encoding="utf-8")
    for named in (["--settings", str(file)], [f"--settings={file}"]):
        assert "显示事件日志" in help_of([*named, "tail", "--help"], LANG="en_GB.UTF-8")
