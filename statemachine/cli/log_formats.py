"""How a line of the program's log looks, at the terminal and in the file.

An entry of the event log is one line, whatever words of a server are in it. In the file it has its number before it, by
which it is found again in the journal; `#-` stands where the journal could not be written at that moment.
"""

from typing import TYPE_CHECKING

from statemachine.core.text import one_line

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
