"""`warm`, `pause` and `resume` reach the daemon, or say why not."""

from pathlib import Path

import pytest

from statemachine.web import Action
from tests.cli.rig import SmallDaemon, cli, small_daemon, write_settings
from tests.web.site import COLD


@pytest.mark.parametrize("action", ["warm", "pause", "resume"])
async def test_the_wish_is_passed_on(daemon: SmallDaemon, action: str) -> None:
    result = await cli(daemon.settings(), action, COLD)
    assert result.exit_code == 0, result.stderr
    assert daemon.operator.asked == [(COLD, Action(action))]
    assert COLD in result.stdout


async def test_a_name_that_is_almost_right(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "warm", "192.0.2.2:818")
    assert result.exit_code == 1
    assert COLD in result.stderr
    assert not daemon.operator.asked


async def test_the_token_of_the_settings_is_sent(tmp_path: Path) -> None:
    async with small_daemon(tmp_path, token="a-token-for-tests") as daemon:
        allowed = await cli(daemon.settings(), "pause", COLD)
        denied = await cli(write_settings(tmp_path, listen={"port": daemon.port}), "resume", COLD)
    assert (allowed.exit_code, denied.exit_code) == (0, 1)
    assert "Authorization" in denied.stderr
    assert daemon.operator.asked == [(COLD, Action.PAUSE)]
