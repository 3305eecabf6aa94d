"""The log file has every entry of the event log with its number, and its size is limited."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from statemachine.core.log_entry import LogEntry, notice_entry
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.daemon.logging import configure_logging
from statemachine.publish.publisher import TransitionLog
from statemachine.settings.model import Logging
from tests.web.site import COLD, NOW, transition_entry

ENTRY = re.compile(r"\S+ [A-Z]+ +#(\d+|-) (\S+): (\S+) -> (\S+) \((\S+)\) (.*)")
ROUTINE = transition_entry(COLD, "routine")._replace(dest=State.CHECKING, reason=Reason.CHECK_STARTED.value)


@pytest.fixture(autouse=True)
def _leave_no_log() -> Iterator[None]:
    yield
    logger.remove()


def written(file: Path) -> list[str]:
    """Return every line of the file and its rotated predecessors, oldest first."""
    logger.complete()
    logger.remove()
    files = sorted(file.parent.iterdir(), key=lambda one: (one == file, one.name))
    return [line for one in files for line in one.read_text(encoding="utf-8").splitlines()]


def log_all(entries: list[LogEntry], **keys: str | int | Path) -> None:
    configure_logging(Logging.model_validate(keys))
    log = TransitionLog()
    for entry in entries:
        log.write(entry)


def test_log_file_has_every_entry_with_its_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file also has entries that the terminal does not show."""
    entries = [transition_entry(COLD, "cold"), ROUTINE, ROUTINE, notice_entry(Notice.FLEET_VANISHED, NOW)]
    log_all([entry.numbered(number) for number, entry in enumerate(entries, 7)], level="INFO", file=tmp_path / "a.log")
    *lines, notice = written(tmp_path / "a.log")
    found = [ENTRY.fullmatch(line) for line in lines]
    assert [match and match[1] for match in found] == ["7", "8", "9"]
    assert "#10 notice (fleet_vanished) " in notice
    assert found[1] is not None
    assert found[1].groups() == ("8", COLD, "checking", "checking", "check_started", "routine")
    assert "routine" not in capsys.readouterr().err


def test_log_file_has_unwritten_entry_without_number(tmp_path: Path) -> None:
    log_all([transition_entry(COLD, "cold")], file=tmp_path / "a.log")
    (line,) = written(tmp_path / "a.log")
    assert f"#- {COLD}: " in line


def test_log_level_applies_to_other_lines(tmp_path: Path) -> None:
    configure_logging(Logging(level="WARNING", file=tmp_path / "a.log"))
    logger.info("not this")
    logger.warning("but {}", "this")
    (line,) = written(tmp_path / "a.log")
    assert line.endswith(" but this")


def test_log_line_breaks_of_servers_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = "failed\n2026-01-01T00:00:00.000+0000 INFO    #99 it: cold -> loaded (all_cached) \x1b[2J{0} <red>"
    log_all([transition_entry(COLD, forged).numbered(1)], file=tmp_path / "a.log")
    (line,) = written(tmp_path / "a.log")
    match = ENTRY.fullmatch(line)
    assert match is not None
    assert match[1] == "1"
    assert line.endswith("\\x1b[2J{0} <red>")
    assert "\x1b[2J" not in capsys.readouterr().err


def test_log_file_rotates_and_old_files_are_deleted(tmp_path: Path) -> None:
    entries = [ROUTINE.numbered(number) for number in range(1, 2_001)]
    log_all(entries, file=tmp_path / "logs" / "a.log", rotation="10 KB", retention=3)
    numbers = [int(match[1]) for line in written(tmp_path / "logs" / "a.log") if (match := ENTRY.fullmatch(line))]
    files = list((tmp_path / "logs").iterdir())
    assert len(files) == 4
    assert all(file.stat().st_size <= 11_000 for file in files)
    assert numbers == list(range(numbers[0], 2_001))
    assert 0 < numbers[0] < 2_001 - 300


def test_log_file_is_appended_after_restart(tmp_path: Path) -> None:
    log_all([ROUTINE.numbered(1)], file=tmp_path / "a.log")
    logger.remove()
    log_all([ROUTINE.numbered(2)], file=tmp_path / "a.log")
    assert [line.split("#")[1][0] for line in written(tmp_path / "a.log")] == ["1", "2"]


def test_log_file_is_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        log_all([ROUTINE], file=tmp_path / "logs" / "c.log")
    finally:
        os.umask(before)
    assert (tmp_path / "logs" / "c.log").stat().st_mode & 0o777 == 0o600


def test_log_forgets_servers_that_left_the_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    """Servers come and go with ever new names. One that comes again is logged like a new one."""
    configure_logging(Logging(level="INFO"))
    log, entry = TransitionLog(), transition_entry(COLD, "cold")
    log.write(entry)
    log.write(entry)
    log.keep_only(())
    log.write(entry)
    logger.complete()
    assert capsys.readouterr().err.count("-> cold") == 2


def test_log_line_of_notice_has_no_empty_states(capsys: pytest.CaptureFixture[str]) -> None:
    log_all([notice_entry(Notice.SETTINGS_RELOADED, NOW), notice_entry(Notice.FLEET_VANISHED, NOW)], level="INFO")
    logger.complete()
    reloaded, vanished = capsys.readouterr().err.splitlines()
    assert "INFO" in reloaded
    assert "notice (settings_reloaded)" in reloaded
    assert "WARNING" in vanished
    assert "- -> -" not in reloaded + vanished
