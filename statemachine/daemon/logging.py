"""The program's own log: to stderr, and to a rotating file if the settings name one.

Entries of the event log are in the journal (`tail`); the file repeats them with the same numbers. Log records of
libraries take the same way. Secrets of the settings are masked before a record reaches any sink.
"""

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.log import server_logger
from loguru import logger
from pydantic import SecretStr
from typing_extensions import override

from statemachine.core.messages import harmless, one_line
from statemachine.journal.private import FILE_MODE
from statemachine.settings.masking import Mask
from statemachine.settings.model import Logging

if TYPE_CHECKING:
    from loguru import Record

_CLIENT_ERRORS = (HttpProcessingError, web.PayloadAccessError, web.RequestPayloadError, ConnectionError)

CONSOLE = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> "
FILE = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level: <7} "

MAX_RECORD = 10_000
"""Characters of a record, of which a traceback has most. An exception may quote what a server or a client sent."""

_READ = 10 * MAX_RECORD
"""Characters of a record that are searched for secrets."""

_CUT = 3 * MAX_RECORD
"""Characters that a secret of the settings may have once it is escaped."""

_LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"})


def configure_logging(settings: Logging, secrets: Iterable[SecretStr] = ()) -> None:
    """Log to stderr, and to the file if one is set.

    The file has every entry of the event log, and other records from `level` on. It is written at once: 20 µs an entry.
    Through a thread of loguru's own, which pickles each record, an entry took 70 µs, a fifth of a large fleet's start.
    """
    logger.remove()
    redact(secrets)
    logger.add(sys.stderr, level=settings.level, format=console_format, backtrace=False, diagnose=False)
    if settings.file is not None:
        logger.add(
            settings.file,
            level=0,
            filter=partial(_belongs_in_file, logger.level(settings.level).no),
            format=file_format,
            rotation=settings.rotation,
            retention=settings.retention,
            opener=lambda path, flags: os.open(path, flags, FILE_MODE),
            encoding="utf-8",
            backtrace=False,
            diagnose=False,
        )
    logging.basicConfig(handlers=[ToLoguru()], level=logging.WARNING, force=True)


def redact(secrets: Iterable[SecretStr]) -> None:
    """Mask these secrets from now on, in place of those given before; cut records and escape terminal codes."""
    mask = Mask(secrets)

    def clean(record: "Record") -> None:
        text = record["message"].replace("\n", "\\n")
        if record["exception"] is not None:
            text = f"{text}\n{''.join(traceback.format_exception(record['exception'].value)).rstrip()}"
            record["exception"] = None
        record["message"] = harmless(_masked(mask, text)[:MAX_RECORD])

    logger.configure(patcher=clean)


def _masked(mask: Mask, text: str) -> str:
    """Return the beginning of the text without secrets.

    A secret that the end of what is searched divides is not found, so the last characters are dropped there.
    """
    masked = mask.text(text[:_READ])
    return masked if len(text) <= _READ else masked[:-_CUT] or "***"


def is_entry(record: "Record") -> bool:
    """Return whether the record is an entry of the event log."""
    return "seq" in record["extra"]


def console_format(record: "Record") -> str:
    """Return the format of the record's line on stderr."""
    return CONSOLE + _text(record)


def file_format(record: "Record") -> str:
    """Return the format of the record's line in the file."""
    if not is_entry(record):
        return FILE + _text(record)
    number = record["extra"]["seq"]
    record["extra"]["number"] = "-" if number is None else number
    return FILE + "#{extra[number]} " + _text(record)  # constant, because loguru caches parsed formats


def _text(record: "Record") -> str:
    if not is_entry(record):
        return "{message}\n{exception}"
    record["extra"]["line"] = one_line(record["message"])
    return "{extra[line]}\n"


def _belongs_in_file(least: int, record: "Record") -> bool:
    return is_entry(record) or record["level"].no >= least


class ToLoguru(logging.Handler):
    """Pass on records of the standard library's logging."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, _CLIENT_ERRORS):
            # A client sent something that is not HTTP. The error quotes its headers, which may hold a secret.
            logger.debug("{}: {}", record.getMessage(), type(error).__name__)
            return
        if error is not None and record.name == server_logger.name:
            # Outside of the handlers, which log their errors themselves, only requests and responses are handled.
            places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            logger.error("{}: {} at {}", record.getMessage(), type(error).__name__, places[-1:])
            return
        level = record.levelname if record.levelname in _LEVELS else "WARNING"
        logger.opt(exception=error).log(level, "{}: {}", record.name, record.getMessage())
