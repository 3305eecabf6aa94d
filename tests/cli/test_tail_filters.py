"""Filters of `tail`, from the daemon, from the journal file, and while following."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statemachine.cli.log_reader import PAGE
from statemachine.core.log_entry import LogEntry, notice_entry
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.journal.pages import SCAN_ROWS
from tests.cli.rig import SmallDaemon, cli, json_lines, small_daemon
from tests.cli.test_tail import both, ids
from tests.support.daemon import command
from tests.web.site import COLD, LOADED, NOW, transition_entry, view

LAB = "192.0.2.3:8188"
SERVERS = [f"http://{LOADED}", f"http://{COLD}", {"url": f"http://{LAB}", "group": "lab"}]
COOLED = transition_entry(COLD, "cold")
WARMED = COOLED._replace(server=LOADED, dest=State.LOADED, reason=Reason.ALL_CACHED.value)
FAILED = COOLED._replace(server=LAB, group="lab", dest=State.FAILED, reason=Reason.PROMPT_FAILED.value)
VANISHED = notice_entry(Notice.FLEET_VANISHED, NOW)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[SmallDaemon]:
    """Provide entries: 1 cold, 2 loaded, 3 the notice, 4 the lab's failure, 5 cold."""
    async with small_daemon(tmp_path) as daemon:
        daemon.add(view(LAB, State.FAILED, Reason.PROMPT_FAILED)._replace(group="lab"))
        await daemon.record(COOLED, WARMED, VANISHED, FAILED, COOLED)
        yield daemon


FILTERS: list[tuple[list[str], list[int]]] = [
    (["--server", LOADED], [2]),
    (["--server", LOADED, "--server", LAB], [2, 4]),
    (["--group", "lab"], [4]),
    (["--group", "lab", "--group", "default"], [1, 2, 4, 5]),
    (["--state", "cold"], [1, 5]),
    (["--state", "loaded", "--state", "failed"], [2, 4]),
    (["--reason", "fleet_vanished", "--reason", "prompt_failed"], [3, 4]),
    (["--state", "cold", "-n", "1"], [5]),
    (["--state", "cold", "--server", LOADED], []),
    (["--state", "cold", "--since", "2026-01-01T00:00:00Z"], [1, 5]),
]


@pytest.mark.parametrize(("arguments", "expected"), FILTERS)
async def test_tail_filters_select_entries(fleet: SmallDaemon, arguments: list[str], expected: list[int]) -> None:
    for result in await both(fleet, "--json", *arguments, servers=SERVERS):
        assert ids(result.stdout) == expected


async def test_tail_filter_finds_rare_entry_far_back(fleet: SmallDaemon) -> None:
    await fleet.write_to_journal(COLD, ["m"] * (SCAN_ROWS + 2 * PAGE))
    for result in await both(fleet, "--json", "--state", "failed", servers=SERVERS):
        assert ids(result.stdout) == [4]


async def test_tail_filter_with_since_reads_many_pages(fleet: SmallDaemon) -> None:
    await fleet.write_to_journal(COLD, ["m"] * (2 * PAGE + 3))
    for result in await both(fleet, "--json", "--group", "default", "--since", "2025-12-31T23:00:00Z", servers=SERVERS):
        assert ids(result.stdout) == [1, 2, 5, *range(6, 2 * PAGE + 9)]


def mixture(round_: int) -> list[LogEntry]:
    return [COOLED, WARMED, VANISHED, FAILED._replace(message=verbatim(f"round {round_}")), WARMED]


async def test_tail_follow_keeps_filter_over_restarts(fleet: SmallDaemon) -> None:
    settings = fleet.settings(servers=SERVERS)
    async with command(settings, "tail", "-f", "--json", "--group", "lab", "--state", "failed") as process:
        seen = await json_lines(process, 1)
        for round_ in range(3):
            await fleet.record(*mixture(round_))
            seen += await json_lines(process, 1)
            await fleet.stop()
            await fleet.start()
    assert [entry["id"] for entry in seen] == [4, 9, 14, 19]
    assert [entry["message"] for entry in seen[1:]] == ["round 0", "round 1", "round 2"]


async def test_tail_follow_of_journal_file_applies_filter(fleet: SmallDaemon) -> None:
    settings = fleet.settings(servers=SERVERS, listen={"port": 0})
    async with command(settings, "tail", "-f", "--json", "--reason", "prompt_failed") as process:
        seen = await json_lines(process, 1)
        await fleet.record(*mixture(0), *mixture(1))
        seen += await json_lines(process, 2)
    assert [entry["id"] for entry in seen] == [4, 9, 14]


async def test_tail_follow_of_journal_file_switches_to_new_file(fleet: SmallDaemon) -> None:
    async with command(fleet.settings(servers=SERVERS, listen={"port": 0}), "tail", "-f", "--json", "-n1") as process:
        seen = await json_lines(process, 1)
        await fleet.stop()
        for path in fleet.data_dir.iterdir():
            path.rename(path.with_name(f"{path.name}.damaged"))
        await fleet.start()
        await fleet.record(COOLED, COOLED)
        seen += await json_lines(process, 2)
    assert [entry["id"] for entry in seen] == [5, 1, 2]


async def test_tail_unknown_group_lists_groups(fleet: SmallDaemon) -> None:
    settings = fleet.settings(servers=SERVERS)
    asked = await cli(settings, "tail", "--group", "videos")
    await fleet.stop()
    alone = await cli(settings, "tail", "--group", "videos")
    await fleet.start()
    assert (asked.exit_code, alone.exit_code) == (1, 1)
    assert "default, lab" in asked.stderr
    assert "default, lab" in alone.stderr


async def test_tail_shows_entries_of_removed_server(fleet: SmallDaemon) -> None:
    await fleet.record(COOLED._replace(server="192.0.2.99:1"))
    for result in await both(fleet, "--json", "--server", "192.0.2.99:1", servers=SERVERS):
        assert ids(result.stdout) == [6]
