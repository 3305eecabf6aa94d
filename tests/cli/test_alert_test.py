"""`alert-test`: a message to every address, and what came of it."""

from pathlib import Path

import tests.alerts.loading  # noqa: F401 - imported for what it does
from tests.alerts.listeners import listening
from tests.cli.rig import cli, write_settings

SECRET = "a secret of sixteen"


async def test_every_channel_gets_a_message(tmp_path: Path) -> None:
    async with listening() as listener:
        channels = {
            "ops": {"apprise": [f"json://127.0.0.1:{listener.port}/{n}" for n in (1, 2)]},
            "hook": {"webhook": f"{listener.url}/3", "secret": SECRET},
        }
        ended = await cli(write_settings(tmp_path, alerts={"channels": channels}), "alert-test")
    assert ended.exit_code == 0, ended.stdout
    assert sorted(one.path for one in listener.requests) == ["/1", "/2", "/3"]
    assert {one.data["title"] for one in listener.requests} == {
        "comfywarm: a test message of channel ops",
        "comfywarm: a test message of channel hook",
    }
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == ["ops[0]", "ops[1]", "hook"]


async def test_a_failure_is_a_plain_no_that_says_why_and_not_where(tmp_path: Path) -> None:
    async with listening(500) as listener:
        channels = {
            "ops": {"apprise": [f"json://127.0.0.1:{listener.port}/T0ken"]},
            "hook": {"webhook": listener.url, "secret": SECRET},
        }
        ended = await cli(write_settings(tmp_path, alerts={"channels": channels}), "alert-test", "ops")
    assert (ended.exit_code, len(listener.requests)) == (1, 1)
    assert "ops: not sent:" in ended.stdout
    assert "error=500" in ended.stdout
    assert "T0ken" not in ended.stdout + ended.stderr


async def test_a_channel_that_does_not_exist(tmp_path: Path) -> None:
    path = write_settings(tmp_path, alerts={"channels": {"ops": {"webhook": "http://127.0.0.1:9", "secret": SECRET}}})
    ended = await cli(path, "alert-test", "opps")
    assert (ended.exit_code, ended.stderr.strip()) == (1, 'unknown channel "opps"; available: ops')


async def test_settings_without_channels(tmp_path: Path) -> None:
    ended = await cli(write_settings(tmp_path), "alert-test")
    assert ended.exit_code == 1
    assert "alerts.channels" in ended.stderr
