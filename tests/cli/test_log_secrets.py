"""The program log, including records of libraries, does not contain secrets of the settings."""

import logging
from collections.abc import Callable, Iterator

import pytest
from aiohttp.http_exceptions import BadHttpMessage
from loguru import logger
from pydantic import SecretStr

from statemachine.daemon.logging import MAX_RECORD, ToLoguru, redact

SECRET = "the-secret-4711"


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Provide the lines that a sink receives."""
    lines: list[str] = []
    redact([SecretStr(SECRET)])
    sink = logger.add(lambda line: lines.append(str(line)), level="TRACE", backtrace=False, diagnose=False)
    yield lines
    logger.remove(sink)
    redact([])


def test_log_masks_secrets_in_messages_and_values(log: list[str]) -> None:
    logger.info(f"{SECRET} here, {{}} there {{}}", SECRET, "{braces} <red>stay</red>")
    assert "*** here, *** there {braces} <red>stay</red>" in log[0]


def fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError("it failed") from error


def test_log_masks_secrets_in_tracebacks(log: list[str]) -> None:
    try:
        fail()
    except RuntimeError:
        logger.exception("it broke")
    assert "it broke\nTraceback" in log[0]
    assert "with base 10: '***'" in log[0]
    assert "RuntimeError: it failed" in log[0]
    assert SECRET not in log[0]


def log_as_library(level: int, message: str, error: Exception | None = None) -> None:
    info = None if error is None else (type(error), error, None)
    ToLoguru().emit(logging.LogRecord("library", level, __file__, 1, message, None, info))


def test_log_masks_secrets_of_library_records(log: list[str]) -> None:
    log_as_library(logging.ERROR, f"cannot send {SECRET}", ValueError(SECRET))
    log_as_library(7, "an odd level")
    assert "ERROR" in log[0]
    assert "library: cannot send ***" in log[0]
    assert "ValueError: ***" in log[0]
    assert "WARNING" in log[1]


def test_log_invalid_request_is_not_quoted(log: list[str]) -> None:
    log_as_library(logging.ERROR, "Error handling request", BadHttpMessage("Authorization: his own secret"))
    assert "DEBUG" in log[0]
    assert "BadHttpMessage" in log[0]
    assert "his own" not in log[0]


def test_log_record_of_any_length_is_cut(log: list[str]) -> None:
    logger.info("beginning {}", "x" * 20_000_000)
    assert "beginning xxx" in log[0]
    assert len(log[0]) < MAX_RECORD + 200


def test_log_traceback_of_any_length_is_cut(log: list[str]) -> None:
    try:
        int("y" * 1_000_000 + SECRET)
    except ValueError as error:
        logger.opt(exception=error).error("it failed")
    assert len(log[0]) < MAX_RECORD + 200


@pytest.mark.parametrize("secrets_before", [0, 1, 500, 900])
@pytest.mark.parametrize("spell", [str, lambda text: text.replace("-", "%252D").replace("s", r"\\u0073")])
def test_log_cut_within_a_secret_shows_no_part_of_it(
    log: list[str], secrets_before: int, spell: Callable[[str], str]
) -> None:
    """Masked secrets shorten the text, so that its end may come from beyond what is searched."""
    secret = spell(SECRET)
    for end in (MAX_RECORD, 2 * MAX_RECORD, 10 * MAX_RECORD):
        for part in range(1, len(secret), 3):
            text = secret * secrets_before
            logger.info("{}{}{}", text, "x" * (end - len(text) - part), secret)
    messages = [line.partition(" - ")[2] for line in log]
    assert [text[-40:] for text in messages if "t" in text or text in ("", "\n")] == []
