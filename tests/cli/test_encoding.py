"""Commands work in a locale whose encoding lacks the characters that they print."""

import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from statemachine.cli.encoding import readable, write_in_any_locale
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
