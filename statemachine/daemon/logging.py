"""Where the program's own log goes: configured here and nowhere else.

What happened to the servers is in the journal (`tail`), and the file tells it again with the same numbers; the rest of
this log is for people at a terminal.
What libraries log goes the same way. Nothing is written before the settings' secrets have been taken out of it.
"""

import logging
import sys
import traceback
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError
from loguru import logger
from pydantic import SecretStr
from typing_extensions import override

from statemachine.core.text import harmless, one_line
from statemachine.settings.masking import Mask
from statemachine.settings.model import Logging

if TYPE_CHECKING:
    from loguru import Record

CONSOLE = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> "
FILE = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level: <7} "


def is_entry(record: "Record") -> bool:
    """Whether the record tells of an entry of the event log."""
    return "seq" in record["extra"]


def console_format(record: "Record") -> str:
    """The template of this record's line at the terminal."""
    return CONSOLE + _text(record)


def file_format(record: "Record") -> str:
    """The template of this record's line in the file."""
    if not is_entry(record):
        return FILE + _text(record)
    number = record["extra"]["seq"]
    record["extra"]["number"] = "-" if number is None else number
    return FILE + "#{extra[number]} " + _text(record)  # the same for every entry: loguru keeps what it has parsed


def _text(record: "Record") -> str:
    if not is_entry(record):
        return "{message}\n{exception}"
    record["extra"]["line"] = one_line(record["message"])
    return "{extra[line]}\n"


if TYPE_CHECKING:
    from loguru import Record


def configure_logging(settings: Logging, secrets: Iterable[SecretStr] = ()) -> None:
    """Log to stderr, and to the rotating file where one is set.

    The file has every entry of the event log, however severe; of all else what `level` lets through. It is written at
    once, into the kernel's memory: 20 µs an entry, all included. Handed to a thread of loguru's own, which pickles each
    and competes for the interpreter, an entry took 70 µs, a fifth of a large fleet's start.
    """
    logger.remove()
    redact(secrets)
    logger.add(sys.stderr, level=settings.level, format=console_format, backtrace=False, diagnose=False)
    if settings.file is not None:
        logger.add(
            settings.file,
            level=0,
            filter=partial(_belongs_in_the_file, logger.level(settings.level).no),
            format=file_format,
            rotation=settings.rotation,
            retention=settings.retention,
            encoding="utf-8",
            backtrace=False,
            diagnose=False,
        )
    logging.basicConfig(handlers=[ToLoguru()], level=logging.WARNING, force=True)


def _belongs_in_the_file(least: int, record: "Record") -> bool:
    return is_entry(record) or record["level"].no >= least


def redact(secrets: Iterable[SecretStr]) -> None:
    """From now on these secrets, and no longer those given before, are hidden; terminal codes are written out."""
    mask = Mask(secrets)

    def take_out(record: "Record") -> None:
        text = record["message"]
        if record["exception"] is not None:
            text = f"{text}\n{''.join(traceback.format_exception(record['exception'].value)).rstrip()}"
            record["exception"] = None
        record["message"] = harmless(mask.text(text))

    logger.configure(patcher=take_out)


class ToLoguru(logging.Handler):
    """Passes on what libraries log by the standard library's way."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            # What is no HTTP is the stranger's fault; the error quotes his headers, with whatever secret is in them.
            logger.debug("{}: {}", record.getMessage(), type(error).__name__)
            return
        level = record.levelname if record.levelname in _LEVELS else "WARNING"
        logger.opt(exception=error).log(level, "{}: {}", record.name, record.getMessage())


_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})
