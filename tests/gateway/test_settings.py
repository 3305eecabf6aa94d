"""The section `gateway` of the settings, and the command."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import SettingsError, load_settings
from tests.cli.rig import cli, write_settings
from tests.support.daemon import command


def problem(folder: Path, gateway: Any) -> str:
    """Return the error of settings with this section."""
    with pytest.raises(SettingsError) as caught:
        load_settings(write_settings(folder, gateway=gateway), {})
    return str(caught.value)


@pytest.mark.parametrize(("key", "value"), [("host", "0.0.0.0"), ("hosts", ["gateway.example"])])
def test_gateway_that_others_reach_without_token_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    error = problem(tmp_path, {key: value})
    assert "gateway.tokens: not set, although gateway." in error
    settings = load_settings(write_settings(tmp_path, gateway={key: value, "tokens": {"a": "token-of-a"}}), {})
    assert settings.gateway is not None


def test_gateway_tokens_must_differ_and_are_not_shown(tmp_path: Path) -> None:
    error = problem(tmp_path, {"tokens": {"alice": "same-secret", "bob": "same-secret"}})
    assert "gateway.tokens.bob" in error
    assert "same-secret" not in error


def test_gateway_data_dir_starts_at_the_settings_file(tmp_path: Path) -> None:
    settings = load_settings(write_settings(tmp_path, gateway={}), {})
    assert settings.gateway is not None
    assert settings.gateway.data_dir == tmp_path / "gateway"


async def test_command_without_gateway_in_settings_says_what_to_do(tmp_path: Path) -> None:
    ended = await cli(write_settings(tmp_path), "gateway")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "docs/gateway.md" in ended.stderr


async def test_command_that_cannot_use_its_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    async with command(write_settings(tmp_path, gateway={"data_dir": "file/gateway"}), "gateway") as process:
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert "the gateway cannot run" in errors.decode()
