"""`tail` shows the newest entries and follows without gaps, from the daemon or from the journal file."""

import json
from pathlib import Path
from typing import Any

import pytest

from statemachine.cli.log_reader import PAGE
from statemachine.publish.serialize import log_entry
from tests.cli.rig import Ended, SmallDaemon, cli, interrupt, json_lines
from tests.support.daemon import command
from tests.web.site import COLD, LOADED, NOW, transition_entry


def ids(output: str) -> list[int]:
    return [json.loads(text)["id"] for text in output.splitlines()]


def names(count: int) -> list[str]:
    return [f"message {number}" for number in range(count)]


async def both(daemon: SmallDaemon, *arguments: str, **keys: Any) -> tuple[Ended, Ended]:
    """Run the same command with and without the daemon; `keys` are settings."""
    settings = daemon.settings(**keys)
    with_daemon = await cli(settings, "tail", *arguments)
    await daemon.stop()
    without = await cli(settings, "tail", *arguments)
    await daemon.start()
    assert (with_daemon.exit_code, without.exit_code) == (0, 0), with_daemon.stderr + without.stderr
    return with_daemon, without


async def test_tail_shows_the_newest_20(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(30))
    for result in await both(daemon, "--json"):
        assert ids(result.stdout) == list(range(11, 31))


async def test_tail_json_has_the_fields_of_the_api(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["缓存"])
    expected = log_entry(transition_entry(COLD, "缓存").numbered(1))
    for result in await both(daemon, "--json"):
        assert json.loads(result.stdout) == expected


@pytest.mark.parametrize("count", [0, 1, 25])
async def test_tail_count_applies_to_one_server(daemon: SmallDaemon, count: int) -> None:
    for _ in range(30):
        await daemon.write(LOADED, names(1))
        await daemon.write(COLD, names(1))
    await daemon.write(COLD, names(9))
    for result in await both(daemon, "--json", "--server", LOADED, "-n", str(count)):
        assert ids(result.stdout) == [2 * number + 1 for number in range(30 - count, 30)]


async def test_tail_of_server_without_entries_is_empty(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(3))
    result = await cli(daemon.settings(), "tail", "--server", LOADED)
    assert (result.exit_code, result.stdout) == (0, "")


async def test_tail_since_reads_all_pages(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(3), at=NOW - 100)
    await daemon.write(COLD, names(PAGE + 50), at=NOW)
    for result in await both(daemon, "--json", "--since", "2025-12-31T23:59:00Z"):
        assert ids(result.stdout) == list(range(4, PAGE + 54))


async def test_tail_lines_are_in_the_settings_language(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["two\nlines"])
    result = await cli(daemon.settings(), "tail")
    assert len(result.stdout.splitlines()) == 1
    assert "checking → cold" in result.stdout
    assert "keys_missing  two lines" in result.stdout
    chinese = await cli(daemon.settings(language="zh"), "tail")
    assert "检查中 → 未加载" in chinese.stdout


async def test_tail_unknown_server_exits_1(daemon: SmallDaemon) -> None:
    settings = daemon.settings()
    asked = await cli(settings, "tail", "--server", "192.0.2.2:818")
    await daemon.stop()
    alone = await cli(settings, "tail", "--server", "127.0.0.1:99")
    await daemon.start()
    assert (asked.exit_code, alone.exit_code) == (1, 1)
    assert "192.0.2.2:8188" in asked.stderr
    assert "127.0.0.1:9" in alone.stderr


async def test_tail_without_daemon_and_journal_exits_1(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    daemon.port = 1
    result = await cli(daemon.settings(), "tail")
    assert result.exit_code == 1
    assert "journal.sqlite3" in result.stderr


async def test_tail_invalid_journal_file_exits_1(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    daemon.port = 1
    daemon.data_dir.mkdir()
    (daemon.data_dir / "journal.sqlite3").write_text("this is not a database", encoding="utf-8")
    result = await cli(daemon.settings(), "tail")
    assert result.exit_code == 1
    assert "cannot read the journal" in result.stderr


async def test_tail_follow_over_restart_has_no_gap_or_duplicate(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(5))
    async with command(daemon.settings(), "tail", "-f", "-n", "2", "--json") as process:
        seen = await json_lines(process, 2)
        await daemon.write(COLD, names(3))
        seen += await json_lines(process, 3)
        for _ in range(2):
            await daemon.stop()
            await daemon.start()
            await daemon.write(COLD, names(4))
            seen += await json_lines(process, 4)
        assert await interrupt(process) == 0
    assert [entry["id"] for entry in seen] == list(range(4, 17))
    assert all("view" not in entry for entry in seen)


async def test_tail_follow_of_one_server_shows_only_it(daemon: SmallDaemon) -> None:
    async with command(daemon.settings(), "tail", "-f", "--json", "--server", LOADED) as process:
        await daemon.write(LOADED, names(1))
        seen = await json_lines(process, 1)
        await daemon.write(COLD, names(2))
        await daemon.write(LOADED, names(1))
        seen += await json_lines(process, 1)
    assert [entry["id"] for entry in seen] == [1, 4]


async def test_tail_follow_over_new_journal_starts_at_1(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(9))
    async with command(daemon.settings(), "tail", "-f", "-n", "1", "--json") as process:
        await json_lines(process, 1)
        await daemon.wait_for_requests("/api/events", times=1)
        await daemon.stop()
        before = daemon.requests.count("/api/events")
        for path in daemon.data_dir.iterdir():
            path.unlink()
        await daemon.start()
        await daemon.wait_for_requests("/api/events", times=before + 1)
        await daemon.write(COLD, ["the first"])
        (entry,) = await json_lines(process, 1)
    assert (entry["id"], entry["message"]) == (1, "the first")


async def test_tail_follow_of_journal_file_has_all_entries(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, names(3))
    async with command(daemon.settings(listen={"port": 0}), "tail", "-f", "-n", "1", "--json") as process:
        seen = await json_lines(process, 1)
        await daemon.write(COLD, names(600))
        seen += await json_lines(process, 600)
        assert await interrupt(process) == 0
    assert [entry["id"] for entry in seen] == list(range(3, 604))
