"""`tail` behaves like Unix tools: closed pipes, terminals of any width, colours, Ctrl-C."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from tests.cli.rig import SmallDaemon, cli, json_lines
from tests.cli.terminal import on_terminal
from tests.support.daemon import command
from tests.support.paths import RUN_SCRIPT
from tests.support.polling import PATIENCE_S, wait_until
from tests.web.site import COLD

LONG = "a sentence that is longer than the terminal is wide " * 3
ESCAPE = "\x1b["


async def ended(process: Process) -> tuple[int, str]:
    """Return the exit code and all of stderr."""
    assert process.stderr is not None
    errors = await asyncio.wait_for(process.stderr.read(), PATIENCE_S)
    return await asyncio.wait_for(process.wait(), PATIENCE_S), errors.decode()


@pytest.mark.parametrize("form", [[], ["--json"]])
async def test_tail_closed_pipe_ends_a_long_log(daemon: SmallDaemon, form: list[str]) -> None:
    """As in `tail -n 5000 | head -1`, the pipe is full when its reader exits."""
    await daemon.write_to_journal(COLD, ["message " * 20] * 5_000)
    settings = daemon.settings()
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), "tail", "-n", "5000", *form)
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(*program, stdout=writing, stderr=PIPE)
    os.close(writing)
    await asyncio.to_thread(os.read, reading, 1_000)
    os.close(reading)
    assert await ended(process) == (0, "")


async def test_tail_follow_closed_pipe_ends_a_quiet_log(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["the last for a long time"])
    settings = daemon.settings()
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), "tail", "-f")
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(*program, stdout=writing, stderr=PIPE)
    os.close(writing)
    assert b"the last" in await asyncio.to_thread(os.read, reading, 1_000)
    os.close(reading)
    assert await ended(process) == (0, "")


async def test_tail_follow_into_file_continues(daemon: SmallDaemon, tmp_path: Path) -> None:
    """A file, unlike a pipe, has no reader that can exit."""
    await daemon.write(COLD, ["one"])
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(daemon.settings()), "tail", "-f")
    with (tmp_path / "out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*program, stdout=out, stderr=PIPE)
    try:
        await wait_until(lambda: b"one" in (tmp_path / "out").read_bytes())
        await daemon.write(COLD, ["another"])
        await wait_until(lambda: b"another" in (tmp_path / "out").read_bytes())
        assert process.returncode is None
    finally:
        process.kill()
        await process.communicate()


async def test_tail_on_narrow_terminal_does_not_fold_lines(daemon: SmallDaemon) -> None:
    """Text copied from the terminal is one line."""
    await daemon.write(COLD, [LONG])
    async with on_terminal(daemon.settings(), "tail", "-f", columns=30) as terminal:
        text = await terminal.until("\n")
    assert LONG.strip() in text.replace("\r\n", "")
    assert text.count("\n") == 1


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
async def test_tail_on_terminal_is_coloured_unless_disabled(
    daemon: SmallDaemon, variables: dict[str, str], coloured: bool
) -> None:
    await daemon.write(COLD, ["m"])
    async with on_terminal(daemon.settings(), "tail", "-f", columns=200, **variables) as terminal:
        text = await terminal.until("\n")
    assert (f"{ESCAPE}33m" in text) is coloured


async def test_tail_ctrl_c_exits_0_without_traceback(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["m"])
    async with on_terminal(daemon.settings(), "tail", "-f", "--json", columns=20) as terminal:
        assert ESCAPE not in await terminal.until("keys_missing")
        terminal.press(b"\x03")
        assert await asyncio.wait_for(terminal.process.wait(), PATIENCE_S) == 0
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("form", "expected"), [([], b"keys_missing  ??"), (["--json"], "缓存".encode())])
async def test_tail_replaces_characters_that_the_locale_lacks(
    daemon: SmallDaemon, form: list[str], expected: bytes
) -> None:
    await daemon.write(COLD, ["缓存"])
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(daemon.settings()), "tail", *form)
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    process = await asyncio.create_subprocess_exec(*program, stdout=PIPE, stderr=PIPE, env=environment)
    output, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert (process.returncode, errors) == (0, b"")
    assert expected in output
    assert output.count(b"\n") == 1
    assert ESCAPE.encode() not in output


@pytest.mark.parametrize(
    "arguments",
    [
        ["-n", "-1"],
        ["--since", "yesterday"],
        ["--state", "lukewarm"],
        ["--reason", "keys_mising"],
        ["nonsense"],
    ],
)
async def test_tail_misuse_exits_2(daemon: SmallDaemon, arguments: list[str]) -> None:
    result = await cli(daemon.settings(), "tail", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-") in result.stderr


async def test_tail_unknown_reason_suggests_similar_code(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "tail", "--reason", "keys_mising")
    assert "keys_missing" in result.stderr


async def test_tail_notes_are_not_on_stdout(daemon: SmallDaemon) -> None:
    """A program that reads --json gets only entries, even when the daemon stops."""
    await daemon.write(COLD, ["one"])
    async with command(daemon.settings(language="zh"), "tail", "-f", "--json") as process:
        await json_lines(process, 1)
        await daemon.stop()
        assert process.stderr is not None
        line = await asyncio.wait_for(process.stderr.readline(), PATIENCE_S)
        await daemon.start()
        await daemon.write(COLD, ["two"])
        (entry,) = await json_lines(process, 1)
    assert "等待" in line.decode()
    assert entry["message"] == "two"
