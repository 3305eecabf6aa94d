"""`tail` behaves as Unix tools do: pipes that close, terminals of any width, colours that are not wanted, Ctrl-C."""

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
    """The exit code, and all that was said on standard error."""
    assert process.stderr is not None
    errors = await asyncio.wait_for(process.stderr.read(), PATIENCE_S)
    return await asyncio.wait_for(process.wait(), PATIENCE_S), errors.decode()


@pytest.mark.parametrize("form", [[], ["--json"]])
async def test_a_reader_that_has_enough_ends_a_long_log(daemon: SmallDaemon, form: list[str]) -> None:
    """As `tail -n 5000 | head -1`: the pipe is full when its reader leaves."""
    await daemon.write_at_once(COLD, ["message " * 20] * 5_000)
    settings = daemon.settings()
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), "tail", "-n", "5000", *form)
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(*program, stdout=writing, stderr=PIPE)
    os.close(writing)
    await asyncio.to_thread(os.read, reading, 1_000)
    os.close(reading)
    assert await ended(process) == (0, "")


async def test_a_reader_that_leaves_a_quiet_log_ends_it_as_well(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["the last for a long time"])
    settings = daemon.settings()
    program = (sys.executable, str(RUN_SCRIPT), "--settings", str(settings), "tail", "-f")
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(*program, stdout=writing, stderr=PIPE)
    os.close(writing)
    assert b"the last" in await asyncio.to_thread(os.read, reading, 1_000)
    os.close(reading)
    assert await ended(process) == (0, "")


async def test_into_a_file_it_follows_on(daemon: SmallDaemon, tmp_path: Path) -> None:
    """A file has no reader that could leave."""
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


async def test_a_narrow_terminal_folds_the_line_itself(daemon: SmallDaemon) -> None:
    """Nothing is cut off, and no line end is put in: what is copied from the terminal is one line."""
    await daemon.write(COLD, [LONG])
    async with on_terminal(daemon.settings(), "tail", "-f", columns=30) as terminal:
        text = await terminal.until("\n")
    assert LONG.strip() in text.replace("\r\n", "")
    assert text.count("\n") == 1


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
async def test_a_terminal_is_coloured_unless_it_is_not_wanted(
    daemon: SmallDaemon, variables: dict[str, str], coloured: bool
) -> None:
    await daemon.write(COLD, ["m"])
    async with on_terminal(daemon.settings(), "tail", "-f", columns=200, **variables) as terminal:
        text = await terminal.until("\n")
    assert (f"{ESCAPE}33m" in text) is coloured


async def test_ctrl_c_on_the_terminal_ends_it_quietly(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["m"])
    async with on_terminal(daemon.settings(), "tail", "-f", "--json", columns=20) as terminal:
        assert ESCAPE not in await terminal.until("keys_missing")
        terminal.press(b"\x03")
        assert await asyncio.wait_for(terminal.process.wait(), PATIENCE_S) == 0
    assert "Traceback" not in terminal.text


@pytest.mark.parametrize(("form", "expected"), [([], b"keys_missing  ??"), (["--json"], "缓存".encode())])
async def test_a_locale_that_lacks_the_letters(daemon: SmallDaemon, form: list[str], expected: bytes) -> None:
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
async def test_misuse_is_exit_code_two(daemon: SmallDaemon, arguments: list[str]) -> None:
    result = await cli(daemon.settings(), "tail", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert arguments[0].lstrip("-") in result.stderr


async def test_a_reason_that_is_almost_right(daemon: SmallDaemon) -> None:
    result = await cli(daemon.settings(), "tail", "--reason", "keys_mising")
    assert "keys_missing" in result.stderr


async def test_what_is_said_beside_the_log_is_not_in_it(daemon: SmallDaemon) -> None:
    """A program that reads --json never stumbles over a print_note, also when the daemon goes away."""
    await daemon.write(COLD, ["one"])
    async with command(daemon.settings(language="zh"), "tail", "-f", "--json") as process:
        await json_lines(process, 1)
        await daemon.stop()
        assert process.stderr is not None
        said = await asyncio.wait_for(process.stderr.readline(), PATIENCE_S)
        await daemon.start()
        await daemon.write(COLD, ["two"])
        (entry,) = await json_lines(process, 1)
    assert "等待" in said.decode()
    assert entry["message"] == "two"
