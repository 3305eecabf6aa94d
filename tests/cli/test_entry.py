"""The command says so if another program's package `statemachine` is in its environment."""

import subprocess
import sys
from pathlib import Path

from tests.support.paths import REPOSITORY


def run(folder: Path, *, locale: str = "C") -> subprocess.CompletedProcess[bytes]:
    """Run `comfywarm --version` with the package in this folder."""
    (folder / "comfywarm.py").write_bytes((REPOSITORY / "comfywarm.py").read_bytes())
    return subprocess.run(
        [sys.executable, "comfywarm.py", "--version"],
        cwd=folder,
        env={"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
        timeout=30,
    )


def package(folder: Path, init: str, *, has_other: bool = False) -> None:
    """Write a package `statemachine` with a command line that only prints."""
    (folder / "statemachine" / "cli").mkdir(parents=True)
    (folder / "statemachine" / "__init__.py").write_text(init)
    (folder / "statemachine" / "cli" / "main.py").write_text("def main(): print('ours')")
    if has_other:
        (folder / "statemachine" / "statemachine.py").write_text("")


def test_command_beside_no_other_package_prints_only_its_output(tmp_path: Path) -> None:
    package(tmp_path, '"""comfywarm"""')
    ended = run(tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"ours\n", b"")


def test_command_warns_of_files_of_another_package(tmp_path: Path) -> None:
    package(tmp_path, '"""comfywarm"""', has_other=True)
    ended = run(tmp_path)
    assert (ended.returncode, ended.stdout) == (0, b"ours\n")
    assert b"python-statemachine is installed" in ended.stderr


def test_command_with_replaced_package_says_what_to_do(tmp_path: Path) -> None:
    package(tmp_path, "from statemachine.statemachine import Nothing", has_other=True)
    ended = run(tmp_path)
    assert ended.returncode == 1
    assert b"pipx install comfywarm" in ended.stderr
    assert b"Traceback" not in ended.stderr
