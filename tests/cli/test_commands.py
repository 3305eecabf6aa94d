"""Exit codes, errors without tracebacks, and generated documents."""

import json
from pathlib import Path

import pytest

from tests.cli.rig import cli, interrupt, line, write_settings
from tests.support.daemon import command
from tests.support.paths import DOCS, REPOSITORY


@pytest.mark.parametrize("command", ["status", "check", "doctor", "tail", "serve", "pause x"])
async def test_command_without_settings_file_exits_1(tmp_path: Path, command: str) -> None:
    result = await cli(tmp_path / "none.json", *command.split())
    assert result.exit_code == 1
    assert "none.json" in result.stderr
    assert "Traceback" not in result.stderr


async def test_no_command_is_serve(tmp_path: Path) -> None:
    served = await cli(tmp_path / "none.json", "serve")
    bare = await cli(tmp_path / "none.json")
    assert (bare.exit_code, bare.stderr) == (1, served.stderr)


async def test_check_invalid_settings_lists_all_problems(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, limits={"max_checks": 0}, lagnuage="en")
    result = await cli(settings, "check")
    assert result.exit_code == 1
    assert "limits.max_checks" in result.stderr
    assert 'did you mean "language"?' in result.stderr


@pytest.mark.parametrize("command", ["nonsense", "tail --since yesterday", "tail -n -1", "doctor http://[1-2", "warm"])
async def test_command_misuse_exits_2(tmp_path: Path, command: str) -> None:
    result = await cli(write_settings(tmp_path), *command.split())
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


async def test_schema_output_equals_the_committed_file(tmp_path: Path) -> None:
    result = await cli(tmp_path / "none.json", "schema")
    assert result.exit_code == 0
    kept = (REPOSITORY / "settings.schema.json").read_text(encoding="utf-8")
    assert result.stdout == kept, "run `make docs`"


async def test_diagram_output_equals_the_committed_page(tmp_path: Path) -> None:
    result = await cli(tmp_path / "none.json", "diagram", "--markdown")
    kept = (DOCS / "states.md").read_text(encoding="utf-8")
    assert result.stdout == kept, "run `make docs`"
    diagram = await cli(tmp_path / "none.json", "diagram")
    assert diagram.stdout in kept


async def test_simulate_as_settings_prints_usable_settings(tmp_path: Path) -> None:
    arguments = ("simulate", "--count", "3", "--base-port", "0", "--persona", "loaded", "--as-settings")
    async with command(tmp_path / "none.json", *arguments) as process:
        text = ""
        while not text.endswith("}"):
            text += await line(process)
        settings = write_settings(tmp_path, **json.loads(text), timing={"http_timeout_s": 5})
        checked = await cli(settings, "check")
        assert await interrupt(process) == 0
    assert checked.exit_code == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("loaded") == 3


@pytest.mark.parametrize("version", ["newest", "0.28.2-dev", "1", "-1.2", ""])
async def test_simulate_unknown_version_of_comfyui_exits_2(tmp_path: Path, version: str) -> None:
    result = await cli(tmp_path / "none.json", "simulate", f"--comfyui={version}")
    assert result.exit_code == 2
    assert "0.3.75" in result.stderr


async def test_simulate_unknown_persona_exits_2(tmp_path: Path) -> None:
    result = await cli(tmp_path / "none.json", "simulate", "--persona", "unknown")
    assert result.exit_code == 2
    assert "unknown" in result.stderr
