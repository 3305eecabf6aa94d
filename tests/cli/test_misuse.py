"""Misuse of the command line: the error, the usage and the exit code, in the reader's language."""

import pytest
from typer.testing import CliRunner

from statemachine.cli.help import misuse
from statemachine.cli.main import app
from statemachine.i18n.render import render
from statemachine.i18n.text import Language

CASES = {
    "other": ('unknown command "other"', "没有命令“other”"),
    "stattus": ("unknown command \"stattus\"; did you mean 'status'?", "没有命令“stattus”；是否指 'status'？"),
    "status extra": ("unexpected arguments: extra", "多余的参数：extra"),
    "warm": ("give either a server's NAME or --group NAME", "请指定服务器名称 NAME 或 --group NAME"),
    "tail -n": ("option -n requires a value", "选项 -n 需要一个值"),
    "tail -n x": ("invalid value for -n: must be an integer", "-n 的值无效：必须是整数"),
    "tail -n -3": ("invalid value for -n: must be at least 0", "-n 的值无效：不得小于 0"),
    "tail --json=3": ("option --json does not take a value", "选项 --json 不接受值"),
    "tail --follo": ("unknown option --follo; did you mean --follow?", "没有选项 --follo；是否指 --follow？"),
    "serve --tok": ("unknown option --tok", "没有选项 --tok"),
    "--settings": ("option --settings requires a value", "选项 --settings 需要一个值"),
    "simulate --scale x": ("invalid value for --scale: must be a number", "--scale 的值无效：必须是数字"),
    "simulate --base-port 99999": (
        "invalid value for --base-port: must be at most 65535",
        "--base-port 的值无效：不得大于 65535",
    ),
}


def stderr_of(arguments: str, locale: str) -> str:
    env = {"COLUMNS": "200", "LC_ALL": "", "LC_MESSAGES": "", "LANG": locale}
    result = CliRunner().invoke(app, arguments.split(), env=env, catch_exceptions=False)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("arguments", CASES)
def test_misuse_is_reported_in_the_readers_language(arguments: str) -> None:
    english, chinese = CASES[arguments]
    assert english in stderr_of(arguments, "en_GB.UTF-8").splitlines()
    reported = stderr_of(arguments, "zh_CN.UTF-8")
    assert chinese in reported.splitlines()
    assert "Usage" not in reported
    assert "help" not in reported


def test_misuse_shows_usage_and_how_to_get_help() -> None:
    assert stderr_of("tail --nope", "zh_CN.UTF-8").splitlines()[:2] == [
        "用法：comfywarm tail [选项]",
        "运行 `comfywarm tail -h` 可查看帮助。",
    ]
    assert stderr_of("tail --nope", "en_GB.UTF-8").startswith("Usage: comfywarm tail [OPTIONS]\n`comfywarm tail -h`")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Got unexpected extra arguments (a b)", "zh", "多余的参数：a b"),
        ("Invalid value for '-n': 'x' is not a valid integer.", "en", "invalid value for -n: must be an integer"),
        ("Invalid value for '-n': -3 is not in the range x>=0.", "zh", "-n 的值无效：必须在 x>=0 范围内"),
        ("No such option: --x Did you mean --y?", "en", "unknown option --x; did you mean --y?"),
        ("Something of a later version.", "zh", "Something of a later version."),
    ],
)
def test_misuse_text_of_another_version_is_recognized_or_kept(text: str, language: Language, expected: str) -> None:
    assert render(misuse(text), language) == expected
