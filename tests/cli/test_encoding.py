"""Commands work in a locale whose encoding lacks the characters that they print."""

import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from statemachine.cli.encoding import argument_text, readable, write_in_any_locale
from tests.cli.rig import write_settings
from tests.support.paths import RUN_SCRIPT


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", "x missing -> wait... ??"),
        ("gbk", "x missing → wait… 加载"),
        ("utf-8", "✗ missing → wait… 加载"),
    ],
)
def test_characters_that_the_encoding_lacks_are_replaced(encoding: str, expected: str) -> None:
    stream = TextIOWrapper(BytesIO(), encoding=encoding)
    write_in_any_locale((stream,))
    stream.write("✗ missing → wait… 加载")
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == expected


@pytest.mark.parametrize(("encoding", "expected"), [("ascii", "en"), ("gbk", "zh"), ("utf-8", "zh"), ("latin-1", "en")])
def test_language_that_cannot_be_shown_is_english(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(BytesIO(), encoding=encoding))
    assert readable("zh") == expected
    assert readable("en") == "en"


def test_doctor_in_ascii_locale_has_its_marks(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(RUN_SCRIPT), "--settings", str(write_settings(tmp_path, language="zh")), "doctor"],
        env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == 1
    assert b"\n  x http://127.0.0.1:9 does not answer" in ended.stdout
    assert ended.stderr == b""


def test_argument_in_ascii_locale_is_read_as_utf_8(tmp_path: Path) -> None:
    """Port 1 of loopback answers nothing, so the command ends where it would send the name."""
    program = [sys.executable, str(RUN_SCRIPT), "--settings", str(write_settings(tmp_path, listen={"port": 1}))]
    cases = {"机器".encode(): (1, b"no comfywarm daemon answers"), b"\xfc": (2, b"text in UTF-8")}
    for argument, (code, said) in cases.items():
        ended = subprocess.run(
            [*program, "pause", argument, "--note", "ü".encode()],
            env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            capture_output=True,
            check=False,
            timeout=50,
        )
        assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr


@pytest.mark.parametrize("text", ["plain", "机器 ü", "机器 ü".encode().decode("ascii", "surrogateescape")])
def test_argument_text_is_the_text_that_was_typed(text: str) -> None:
    assert argument_text(text) in {"plain", "机器 ü"}


def test_argument_text_refuses_bytes_that_are_not_utf_8() -> None:
    with pytest.raises(UnicodeDecodeError):
        argument_text(b"\xfc".decode("ascii", "surrogateescape"))
