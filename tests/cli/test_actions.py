"""`warm`, `pause` and `resume` send actions to the daemon."""

import re
from pathlib import Path

import pytest

from statemachine.core.pause import PauseTerms
from statemachine.core.ports import Action
from statemachine.core.vocabulary import State
from tests.cli.rig import SmallDaemon, cli, small_daemon, write_settings
from tests.web.site import COLD, LOADED


@pytest.mark.parametrize("action", ["warm", "pause", "resume", "restart"])
async def test_action_on_server_is_sent_to_the_daemon(daemon: SmallDaemon, action: str) -> None:
    result = await cli(daemon.settings(), action, COLD)
    assert result.exit_code == 0, result.stderr
    assert daemon.operator.actions == [(COLD, Action(action))]
    assert COLD in result.stdout


@pytest.mark.parametrize("action", ["warm", "pause", "resume"])
async def test_action_on_group_is_sent_for_each_server(daemon: SmallDaemon, action: str) -> None:
    result = await cli(daemon.settings(), action, "--group", "default")
    assert result.exit_code == 0, result.stderr
    assert daemon.operator.actions == [(LOADED, Action(action)), (COLD, Action(action))]
    assert "2 servers" in result.stdout


@pytest.mark.parametrize("action", ["warm", "pause", "resume"])
@pytest.mark.parametrize("target", [[COLD], ["--group", "default"]])
async def test_action_output_is_in_the_settings_language(daemon: SmallDaemon, action: str, target: list[str]) -> None:
    result = await cli(daemon.settings(language="zh"), action, *target)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"将预热|已停用|已恢复", result.stdout)
    assert target[-1] in result.stdout


async def test_action_error_is_in_the_settings_language(daemon: SmallDaemon) -> None:
    unknown = await cli(daemon.settings(language="zh"), "warm", "192.0.2.2:818")
    group = await cli(daemon.settings(language="zh"), "warm", "--group", "unknown")
    daemon.port = 1
    away = await cli(daemon.settings(language="zh"), "warm", COLD)
    assert [result.exit_code for result in (unknown, group, away)] == [1, 1, 1]
    assert f"是否指 {COLD}" in unknown.stderr
    assert "现有分组：default" in group.stderr
    assert "没有 comfywarm 服务响应" in away.stderr


@pytest.mark.parametrize("arguments", [[], [COLD, "--group", "default"]])
async def test_action_without_or_with_two_targets_is_misuse(daemon: SmallDaemon, arguments: list[str]) -> None:
    result = await cli(daemon.settings(), "warm", *arguments)
    assert result.exit_code == 2
    assert "--group" in result.stderr
    assert not daemon.operator.actions


async def test_action_unknown_server_suggests_similar_name(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "warm", "192.0.2.2:818")
    assert result.exit_code == 1
    assert COLD in result.stderr
    assert not daemon.operator.actions


async def test_action_sends_the_token_of_the_settings(tmp_path: Path) -> None:
    async with small_daemon(tmp_path, token="a-token-for-tests") as daemon:
        allowed = await cli(daemon.settings(), "pause", COLD)
        named = {"port": daemon.port, "tokens": {"bob": {"token": "b", "may": "read"}, "alice": "a-token-for-tests"}}
        assert (await cli(write_settings(tmp_path, listen=named), "warm", COLD)).exit_code == 0
        denied = await cli(write_settings(tmp_path, listen={"port": daemon.port}), "resume", COLD)
    assert (allowed.exit_code, denied.exit_code) == (0, 1)
    assert "does not accept the token" in denied.stderr
    assert daemon.operator.actions == [(COLD, Action.PAUSE), (COLD, Action.WARM)]


@pytest.mark.parametrize(
    ("own", "sent"), [("b", "b"), ("a", "a"), ("of-another-program", "of-another-program"), ("", "a"), (None, "a")]
)
async def test_api_client_prefers_the_callers_own_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str | None, sent: str
) -> None:
    monkeypatch.delenv("COMFYWARM_TOKEN", raising=False)
    if own is not None:
        monkeypatch.setenv("COMFYWARM_TOKEN", own)
    async with small_daemon(tmp_path, token=sent) as daemon:
        named = {"port": daemon.port, "tokens": {"alice": "a", "bob": "b"}}
        assert (await cli(write_settings(tmp_path, listen=named), "warm", COLD)).exit_code == 0


async def test_commands_need_no_variable_but_the_callers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [{"url": "http://127.0.0.1:9", "headers": {"Authorization": "${UNSET_HEADER}"}}]
    async with small_daemon(tmp_path, token="t-of-carol") as daemon:
        tokens = {"alice": "${UNSET_ALICE}", "nodes": {"token": "${UNSET_NODES}", "may": "register"}}
        settings = write_settings(tmp_path, servers=servers, listen={"port": daemon.port, "tokens": tokens})
        monkeypatch.delenv("COMFYWARM_TOKEN", raising=False)
        assert "COLD" in (await cli(settings, "status")).stdout.upper()
        refused = await cli(settings, "warm", COLD)
        monkeypatch.setenv("COMFYWARM_TOKEN", "t-of-carol")
        assert (await cli(settings, "warm", COLD)).exit_code == 0
    assert (refused.exit_code, "COMFYWARM_TOKEN" in refused.stderr) == (1, True), refused.stderr
    assert "UNSET_ALICE is not set" in (await cli(settings, "check")).stderr


@pytest.mark.parametrize("target", [[COLD], ["--group", "default"]])
async def test_pause_sends_its_length_and_note(daemon: SmallDaemon, target: list[str]) -> None:
    result = await cli(daemon.settings(), "pause", *target, "--for", "2h", "--note", "driver update")
    assert result.exit_code == 0, result.stderr
    assert "2h" in result.stdout
    pauses = [terms for terms in daemon.operator.terms if isinstance(terms, PauseTerms)]
    assert {pause.note for pause in pauses} == {"driver update"}
    assert all(pause.until is not None for pause in pauses)


@pytest.mark.parametrize("duration", ["soon", "", "-2h", "0s", "400d"])
async def test_pause_with_a_bad_length_is_misuse(daemon: SmallDaemon, duration: str) -> None:
    result = await cli(daemon.settings(), "pause", COLD, "--for", duration)
    assert result.exit_code == 2
    assert "--for" in result.stderr
    assert not daemon.operator.actions


async def test_pause_with_a_bad_note_names_it(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "pause", COLD, "--note", "n" * 201)
    assert result.exit_code == 1
    assert "at most 200" in result.stderr


@pytest.mark.parametrize(
    ("action", "state", "words"),
    [
        ("restart", State.DRAINING, "already: it finishes its prompts"),
        ("restart", State.RESTARTING, "already: its hook has begun"),
        ("restart", State.COLD, "will be restarted"),
        ("warm", State.RESTARTING, "warmed once it is back"),
        ("resume", State.DRAINING, "the restart is cancelled"),
        ("resume", State.RESTARTING, "the restart goes on"),
        ("resume", State.PAUSED, "resumed"),
        ("resume", State.COLD, "is not paused (state: cold); nothing changes"),
        ("restart", State.UNREACHABLE, "without waiting for its prompts"),
    ],
)
async def test_action_during_a_restart_says_what_follows(
    daemon: SmallDaemon, action: str, state: State, words: str
) -> None:
    daemon.views[1] = daemon.views[1]._replace(state=state)
    await daemon.stop()
    await daemon.start()
    result = await cli(daemon.settings(), action, COLD)
    assert words in " ".join(result.stdout.split())


async def test_resume_of_a_failed_server_names_the_command(daemon: SmallDaemon) -> None:
    daemon.views[1] = daemon.views[1]._replace(state=State.FAILED)
    await daemon.stop()
    await daemon.start()
    result = await cli(daemon.settings(), "resume", COLD)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"is not paused but failed; `comfywarm warm {COLD}`" in result.stderr
