"""`status` shows the daemon's view of the fleet and reports it by its exit code."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from statemachine.cli.status_lines import age
from statemachine.client.access import daemon_url
from statemachine.core.vocabulary import Reason, State
from statemachine.settings import parse_settings
from tests.cli.rig import SmallDaemon, cli, interrupt, small_daemon, write_settings
from tests.cli.terminal import on_terminal
from tests.support.daemon import command
from tests.web.site import COLD, LOADED, view


async def test_status_with_unloaded_server_exits_1(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "status")
    assert result.exit_code == 1
    rows = [row for row in result.stdout.splitlines() if "8188" in row]
    assert [COLD in rows[0], LOADED in rows[1]] == [True, True]
    assert "cold" in rows[0]
    assert "keys_missing" in rows[0]
    assert "1/2 servers loaded" in result.stdout


async def test_status_all_loaded_exits_0(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    daemon.views = [view(LOADED, State.LOADED, Reason.ALL_CACHED)]
    await daemon.start()
    result = await cli(daemon.settings(), "status")
    await daemon.stop()
    assert result.exit_code == 0


async def test_status_in_chinese_shows_progress(tmp_path: Path) -> None:
    daemon = SmallDaemon(tmp_path)
    daemon.views = [view(COLD, State.WARMING, Reason.PROMPT_ACCEPTED)._replace(progress=0.42)]
    await daemon.start()
    result = await cli(daemon.settings(language="zh"), "status")
    await daemon.stop()
    assert "预热中 42%" in result.stdout
    assert "任务已被接受" in result.stdout


@pytest.mark.parametrize("port", [0, 1])
async def test_status_without_daemon_exits_1(tmp_path: Path, port: int) -> None:
    result = await cli(write_settings(tmp_path, listen={"port": port}), "status")
    assert result.exit_code == 1
    assert "daemon" in result.stderr
    assert "Traceback" not in result.stderr


async def test_status_other_program_on_port_is_named(tmp_path: Path) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        result = await cli(write_settings(tmp_path, listen={"port": port}), "status")
    assert result.exit_code == 1
    assert "is not a comfywarm daemon" in result.stderr


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8799"),
        ("::", "http://[::1]:8799"),
        ("127.0.0.2", "http://127.0.0.2:8799"),
    ],
)
def test_daemon_url_replaces_wildcard_addresses(host: str, url: str) -> None:
    settings = parse_settings({"servers": ["http://192.0.2.1:8188"], "listen": {"host": host}}, Path("/"), {})
    assert daemon_url(settings) == url


async def test_status_watch_redraws_until_ctrl_c(tmp_path: Path) -> None:
    async with small_daemon(tmp_path) as daemon, command(daemon.settings(), "status", "--watch") as process:
        await daemon.wait_for_requests("/api/status", times=3)
        assert await interrupt(process) == 0
        output, errors = await process.communicate()
    assert COLD in output.decode()
    assert not errors


def thousand_servers(folder: Path) -> SmallDaemon:
    """Return a daemon over 1,000 servers, not yet started, the last two of which are in trouble."""
    daemon = SmallDaemon(folder)
    daemon.views = [view(f"192.0.2.{n % 250}:{8000 + n}", State.LOADED, Reason.ALL_CACHED) for n in range(998)]
    daemon.views.append(view("198.51.100.7:8188", State.COLD, Reason.KEYS_MISSING)._replace(group="videos"))
    daemon.views.append(view("198.51.100.8:8188", State.FAILED, Reason.OUT_OF_MEMORY)._replace(group="videos"))
    return daemon


async def test_status_of_many_servers_fits_a_terminal(tmp_path: Path) -> None:
    daemon = thousand_servers(tmp_path)
    await daemon.start()
    async with on_terminal(daemon.settings(), "status", columns=80, NO_COLOR="1") as terminal:
        text = await terminal.until("more servers")
    everything = await cli(daemon.settings(), "status")
    await daemon.stop()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    assert lines[0].startswith("998/1000 servers loaded")
    assert ["198.51.100.8:8188" in lines[2], "198.51.100.7:8188" in lines[3]] == [True, True]
    assert len(lines) < 24
    assert max(map(len, lines[:-1])) <= 80
    assert len([row for row in everything.stdout.splitlines() if "192.0.2." in row]) == 998


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--group", "videos"], ["198.51.100.8:8188", "198.51.100.7:8188"]),
        (["--state", "cold"], ["198.51.100.7:8188"]),
        (["--state", "cold", "--state", "failed", "--group", "default"], []),
    ],
)
async def test_status_shows_only_the_selected(tmp_path: Path, options: list[str], names: list[str]) -> None:
    daemon = thousand_servers(tmp_path)
    await daemon.start()
    shown = await cli(daemon.settings(), "status", *options)
    as_json = await cli(daemon.settings(), "status", "--json", *options)
    await daemon.stop()
    assert [row.split()[0] for row in shown.stdout.splitlines()[2:]] == names
    assert sorted(server["name"] for server in json.loads(as_json.stdout)["servers"]) == sorted(names)


@pytest.mark.parametrize(
    ("option", "words"), [("--group=defualt", "did you mean default"), ("--state=loded", "did you mean")]
)
async def test_status_unknown_selection_suggests(daemon: SmallDaemon, option: str, words: str) -> None:
    result = await cli(daemon.settings(), "status", option)
    assert result.exit_code in {1, 2}
    assert words in result.stderr


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2026-01-01T00:00:00.000Z", "0s"),
        ("2025-12-31T23:58:01.000Z", "119s"),
        ("2025-12-31T23:58:00.000Z", "2m"),
        ("2025-12-31T22:00:00.000Z", "2h"),
        ("2025-12-01T00:00:00.000Z", "31d"),
        ("2026-01-01T00:00:05.000Z", "0s"),
        (None, ""),
    ],
)
def test_age_is_short(since: str | None, expected: str) -> None:
    assert age(since, "2026-01-01T00:00:00.000Z") == expected
