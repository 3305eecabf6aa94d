"""Programs of hooks that cannot be started: what is reported before a restart needs them."""

import sys
from pathlib import Path
from typing import Any

import pytest

from statemachine.i18n.render import render
from statemachine.repair.port import missing_programs
from statemachine.settings import parse_settings, resolve_servers
from tests.cli.rig import cli, write_settings

ABSENT = "no-such-program-of-comfywarm"


def troubles(folder: Path, program: str, **own: Any) -> list[str]:
    entries = [{"url": "http://127.0.0.[1-2]:1"}, {"url": "http://127.0.0.3:1", **own}]
    settings = parse_settings({"servers": entries, "restart": {"command": [program]}}, folder, {})
    return [render(trouble, "en") for trouble in missing_programs(resolve_servers(settings))]


@pytest.mark.parametrize("program", [sys.executable, "sh"])
def test_program_that_exists_is_no_trouble(tmp_path: Path, program: str) -> None:
    assert troubles(tmp_path, program) == []


def test_each_missing_program_is_named_once_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    absent, own = troubles(tmp_path, ABSENT, restart={"command": ["./plain"]})
    assert "restart.command (2 servers, such as 127.0.0.1:1)" in absent
    assert f"{ABSENT} not found in PATH" in absent
    assert f"{tmp_path}/plain is not an executable file" in own
    assert f"{tmp_path}/gone not found" in troubles(tmp_path, "./gone")[0]


@pytest.mark.parametrize("command", ["check", "doctor"])
async def test_check_and_doctor_report_a_missing_program(tmp_path: Path, command: str) -> None:
    keys = {"servers": ["http://127.0.0.1:1"], "restart": {"command": [ABSENT]}}
    result = await cli(write_settings(tmp_path, **keys), command)
    assert result.exit_code == 1
    said = " ".join((result.stdout + result.stderr).split())
    assert f"program {ABSENT} not found in PATH" in said
