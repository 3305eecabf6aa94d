"""Where the program's own log goes: configured here and nowhere else.

What happened to the servers is in the journal (`tail`); this log is for people at a terminal and for a rotating file.
"""

import sys

from loguru import logger

from statemachine.settings.model import Logging

CONSOLE_FORMAT = "<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {message}"
FILE_FORMAT = "{time:YYYY-MM-DDTHH:mm:ss.SSSZ} {level: <7} {message}"


def configure_logging(settings: Logging) -> None:
    """Log to stderr, and to the rotating file where one is set. The file is written by a thread of loguru's own."""
    logger.remove()
    logger.add(sys.stderr, level=settings.level, format=CONSOLE_FORMAT, backtrace=False, diagnose=False)
    if settings.file is not None:
        logger.add(
            settings.file,
            level=settings.level,
            format=FILE_FORMAT,
            rotation=settings.rotation,
            retention=settings.retention,
            encoding="utf-8",
            enqueue=True,
            backtrace=False,
            diagnose=False,
        )
