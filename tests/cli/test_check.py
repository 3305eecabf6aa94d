"""`check` asks every server once and submits nothing."""

from pathlib import Path

from statemachine.simulator import PROFILES, running_fleet
from tests.cli.rig import cli, write_settings


async def test_check_all_loaded_exits_0(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]] * 3, scale=0.05) as fleet:
        result = await cli(write_settings(tmp_path, servers=fleet.urls, limits={"max_checks": 1}), "check")
    assert result.exit_code == 0
    assert all(member.name in result.stdout for member in fleet.members)


async def test_check_shows_a_row_for_each_result(tmp_path: Path) -> None:
    expected = {
        "loaded": "loaded",
        "cold": "cold",
        "auto_executing": "auto_executing",
        "inspire": "inspire",
        "stock": "history",
        "locked": "failed",
        "absent": "connection refused",
        "unrecognisable": "not understood",
    }
    async with running_fleet([PROFILES[name] for name in expected], scale=0.05) as fleet:
        result = await cli(write_settings(tmp_path, servers=fleet.urls), "check")
        assert not any(server.log for server in fleet.servers), "something was submitted"
    assert result.exit_code == 1
    rows = result.stdout.splitlines()
    for profile, text in expected.items():
        (row,) = [row for row in rows if fleet.of(profile).name in row]
        assert text in row


async def test_check_invalid_workflow_file_fails_before_requests(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("[]", encoding="utf-8")
    async with running_fleet([PROFILES["auto_executing"]], scale=0.05) as fleet:
        keys = {"servers": fleet.urls, "workflows_dir": ".", "workflows": ["bad", "none"]}
        result = await cli(write_settings(tmp_path, **keys), "check")
        assert fleet.servers[0].own_workflows == 0
    assert result.exit_code == 1
    assert "bad.json" in result.stderr
    assert "none.json" in result.stderr
