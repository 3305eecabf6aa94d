"""`restart --group` and `rollout`: what they send, and what they print."""

import json
from pathlib import Path

import pytest

from tests.cli.rig import SmallDaemon, cli, write_settings
from tests.support.ports import free_port
from tests.web.site import COLD, LOADED


async def test_restart_of_a_group_starts_a_run(daemon: SmallDaemon) -> None:
    result = await cli(
        daemon.settings(), "restart", "--group", "default", "--max-unavailable", "2", "--abort-after", "3"
    )
    assert result.exit_code == 0, result.stderr
    assert "2 servers will be restarted, at most 2 at a time" in result.stdout
    shown = await cli(daemon.settings(), "rollout", "status")
    assert shown.exit_code == 0
    assert "rolling restart of group default: running" in shown.stdout
    assert "aborted after 3 failures in a row" in shown.stdout
    assert f"{LOADED}  waiting" in shown.stdout
    assert f"{COLD}  waiting" in shown.stdout


async def test_rollout_status_as_json_is_the_answer_of_the_api(daemon: SmallDaemon) -> None:
    await cli(daemon.settings(), "restart", "--group", "default")
    result = await cli(daemon.settings(), "rollout", "status", "--json")
    assert json.loads(result.stdout)["rollout"]["max_unavailable"] == 1


async def test_rollout_status_without_a_run_says_how_to_start_one(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "rollout", "status")
    assert result.exit_code == 1
    assert "comfywarm restart --group" in result.stderr


async def test_rollout_actions_change_the_run(daemon: SmallDaemon) -> None:
    await cli(daemon.settings(), "restart", "--group", "default")
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        result = await cli(daemon.settings(), "rollout", action)
        assert result.exit_code == 0, result.stderr
        assert f"rolling restart of group default: {state}" in result.stdout
    over = await cli(daemon.settings(), "rollout", "resume")
    assert over.exit_code == 1
    assert "is over" in over.stderr


async def test_restart_of_an_unknown_group_names_a_similar_one(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "restart", "--group", "defualt")
    assert result.exit_code == 1
    assert "default" in result.stderr


async def test_second_run_is_refused_in_words(daemon: SmallDaemon) -> None:
    await cli(daemon.settings(), "restart", "--group", "default")
    result = await cli(daemon.settings(), "restart", "--group", "default")
    assert result.exit_code == 1
    assert "comfywarm rollout status" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--group", "default", "--max-unavailable", "0"],
        ["--group", "default", "--abort-after", "none"],
        [COLD, "--group", "default"],
        [COLD, "--max-unavailable", "2"],
        [COLD, "--abort-after", "2"],
        [],
    ],
)
async def test_restart_with_bad_arguments_is_misuse(daemon: SmallDaemon, arguments: list[str]) -> None:
    result = await cli(daemon.settings(), "restart", *arguments)
    assert result.exit_code == 2
    assert (await cli(daemon.settings(), "rollout", "status")).exit_code == 1


@pytest.mark.parametrize("arguments", [["status"], ["pause"], ["resume"], ["cancel"]])
async def test_rollout_without_a_daemon_fails_in_words(tmp_path: Path, arguments: list[str]) -> None:
    result = await cli(write_settings(tmp_path, listen={"port": free_port()}), "rollout", *arguments)
    assert result.exit_code == 1
    assert "no comfywarm daemon answers" in result.stderr
