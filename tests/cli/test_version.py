"""`--version`, by every way to start the command line, installed or not."""

import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from statemachine import version as version_module
from statemachine.cli.main import app
from statemachine.version import version
from tests.support.paths import REPOSITORY

DECLARED = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_found(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", not_found)
    monkeypatch.setattr(version_module, "version", version.__wrapped__)


def test_version_option_prints_name_and_version() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"comfywarm {version()}\n")


@pytest.mark.parametrize("program", [["run.py"], ["-m", "statemachine"]], ids=["run.py", "module"])
def test_version_option_of_checkout_succeeds(program: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, *program, "--version"], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout == f"comfywarm {version()}\n"


@pytest.mark.usefixtures("not_installed")
def test_version_without_installed_package_is_that_of_pyproject() -> None:
    assert version_module.version() == DECLARED


@pytest.mark.usefixtures("not_installed")
def test_version_without_package_and_pyproject_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(version_module, "PYPROJECT", tmp_path / "pyproject.toml")
    assert version_module.version() == "unknown"
