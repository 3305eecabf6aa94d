"""`alert-test` sends a message to every address and reports the result."""

from pathlib import Path

import tests.alerts.loading  # noqa: F401 - imported for its side effect
from tests.alerts.listeners import listening
from tests.cli.rig import cli, write_settings

SECRET = "a secret of sixteen"


async def test_alert_test_sends_to_every_channel(tmp_path: Path) -> None:
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


async def test_alert_test_failure_names_cause_without_url(tmp_path: Path) -> None:
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


async def test_alert_test_unknown_channel_lists_channels(tmp_path: Path) -> None:
    path = write_settings(tmp_path, alerts={"channels": {"ops": {"webhook": "http://127.0.0.1:9", "secret": SECRET}}})
    ended = await cli(path, "alert-test", "opps")
    assert (ended.exit_code, ended.stderr.strip()) == (1, 'unknown channel "opps"; did you mean ops?')
    ended = await cli(path, "alert-test", "night")
    assert (ended.exit_code, ended.stderr.strip()) == (1, 'unknown channel "night"; available: ops')


async def test_alert_test_without_channels_fails(tmp_path: Path) -> None:
    ended = await cli(write_settings(tmp_path), "alert-test")
    assert ended.exit_code == 1
    assert "alerts.channels" in ended.stderr
