"""`restart --group` and `rollout`: what they send, and what they print."""

import json
import re
from pathlib import Path

import pytest

from statemachine.cli.rollout import run_lines
from statemachine.client.answers import require_answer
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
    assert "aborted after failures in a row: 3" in shown.stdout
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
        assert "group default, 2 servers: 0 done" in result.stdout
    over = await cli(daemon.settings(), "rollout", "pause")
    assert over.exit_code == 1
    assert "is over" in over.stderr


async def test_rollout_status_says_when_it_was_changed_and_what_is_left(daemon: SmallDaemon) -> None:
    await cli(daemon.settings(), "restart", "--group", "default")
    await cli(daemon.settings(), "rollout", "pause")
    paused = (await cli(daemon.settings(), "rollout", "status")).stdout
    assert f"{COLD}  waiting: the run is paused" in paused
    assert re.search(r"^started \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\npaused \d{4}-", paused, re.MULTILINE)
    await cli(daemon.settings(), "rollout", "cancel")
    cancelled = (await cli(daemon.settings(), "rollout", "status")).stdout
    assert re.search(r"^cancelled \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", cancelled, re.MULTILINE)
    assert f"not restarted, 2 in all: {LOADED}, {COLD}; `comfywarm rollout resume` restarts only these" in cancelled
    resumed = await cli(daemon.settings(), "rollout", "resume")
    assert "rolling restart of group default: running" in resumed.stdout
    assert "not restarted" not in resumed.stdout


def test_run_that_was_cancelled_names_its_client_and_what_goes_on() -> None:
    servers = [
        {"server": "a", "stage": "restarting", "reason": None},
        {"server": "b", "stage": "skipped", "reason": "run_ended"},
        {"server": "c", "stage": "skipped", "reason": "server_paused"},
    ]
    run = {
        "group": "farm",
        "state": "cancelled",
        "reason": None,
        "by": "ann",
        "changed_by": "bob",
        "abort_after": 1,
        "started_at": "2026-01-02T03:04:05Z",
        "changed_at": "2026-01-02T04:04:05Z",
        "ended_at": None,
        "max_unavailable": 1,
        "counts": {"restarting": 1, "skipped": 2},
        "servers": servers,
    }
    require_answer("GET", "/api/rollout", {"rollout": run})
    said = run_lines(run, "en")
    assert any(re.fullmatch(r"started .* \(requested by ann\)", one) for one in said)
    assert any(re.fullmatch(r"cancelled .* \(by bob\)", one) for one in said)
    assert "restarts that go on to their end, 1 in all: a" in said
    assert any(one.startswith("not restarted, 1 in all: b;") for one in said)


def test_run_of_an_earlier_daemon_is_readable() -> None:
    run = {
        "group": "farm",
        "state": "done",
        "reason": None,
        "by": None,
        "abort_after": 1,
        "started_at": "2026-01-02T03:04:05Z",
        "ended_at": None,
        "max_unavailable": 1,
        "counts": {"done": 1},
        "servers": [{"server": "a", "stage": "done", "reason": None}],
    }
    require_answer("GET", "/api/rollout", {"rollout": run})
    assert run_lines(run, "en")[0] == "rolling restart of group farm: done"


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
