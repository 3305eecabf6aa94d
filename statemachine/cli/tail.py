"""`tail`: the event log, from the running daemon or, without one, from the journal."""

import re
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import orjson
import typer
from rich.cells import cell_len
from rich.text import Text

from statemachine.cli.context import (
    LineScreen,
    client_settings_of,
    discard_output,
    fail,
    print_note,
    run_until_interrupted,
    show_bytes,
    while_read,
)
from statemachine.cli.log_reader import DaemonLog, FileLog, LogSource, Wanted, newest, newest_number
from statemachine.cli.names import group_names, known_reason, known_state, reason_codes, server_names, state_names
from statemachine.cli.wording import heading, message_text, reader_language, reason_text, state_text
from statemachine.client import DaemonError, DaemonUnavailableError, EventAnswer, Fleet
from statemachine.client.errors import first_unknown
from statemachine.core.log_entry import STATE_NAMES, LogFilter
from statemachine.core.messages import harmless_json, message, one_line, without_error_number
from statemachine.discovery.store import known_servers
from statemachine.i18n.render import MessageError, render
from statemachine.i18n.text import Language
from statemachine.journal.private import DataFolderError
from statemachine.journal.store import JOURNAL_FILE
from statemachine.settings import Settings

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def parse_since(text: str, now: datetime) -> float:
    """Return epoch seconds; a time without zone is local. Raises MessageError."""
    try:
        if found := _AGO.fullmatch(text.strip()):
            return (now - timedelta(**{UNITS[found[2]]: int(found[1])})).timestamp()
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise MessageError(message("cli.not_a_time", text=text)) from None


ARROW = " → "
MAX_NAME_WIDTH = 40
"""Terminal cells; a longer name shifts only its own line."""


class LineMaker:
    """Formats entries as lines, aligned for servers of these names."""

    def __init__(self, language: Language, names: Iterable[str]) -> None:
        self._language = language
        self._name_width = min(max(map(cell_len, names), default=0), MAX_NAME_WIDTH)
        self._state_width = max(state_text(name, language).cell_len for name in STATE_NAMES)

    def line(self, entry: EventAnswer) -> Text:
        """Return local time, server, transition, reason and message on one line."""
        name = one_line(entry["server"] or "-")
        when = datetime.fromisoformat(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return Text.assemble(
            (when, "dim"),
            f"  {name}{_padding(cell_len(name), self._name_width)}  ",
            *self._what(entry),
            "  ",
            (reason_text(entry["reason"], self._language), "bold"),
            f"  {one_line(message_text(entry, self._language))}",
        )

    def _what(self, entry: EventAnswer) -> tuple[Text | str, ...]:
        """Return source and destination, padded so that the arrows are aligned."""
        if not entry["to"]:
            notice = Text(heading("notice", self._language), style="bold yellow")
            return notice, _padding(notice.cell_len, 2 * self._state_width + len(ARROW))
        source = state_text(entry["from"], self._language) if entry["from"] else Text("-")
        dest = state_text(entry["to"], self._language)
        before, after = (_padding(state.cell_len, self._state_width) for state in (source, dest))
        return before, source, ARROW, dest, after


def json_line(entry: EventAnswer) -> bytes:
    """Return the entry as in the API, on one line in UTF-8 (RFC 8259, section 8.1) that is safe on a terminal."""
    return harmless_json(orjson.dumps(entry).decode()).encode()


def _padding(width: int, wanted: int) -> str:
    return " " * max(0, wanted - width)


DEFAULT_COUNT = 20
Show = Callable[[EventAnswer], None]


def tail(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("-f", "--follow")] = False,
    count: Annotated[
        int | None,
        typer.Option("-n", min=0, metavar="N"),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="T")] = None,
    server: Annotated[list[str] | None, typer.Option(metavar="NAME", autocompletion=server_names)] = None,
    group: Annotated[list[str] | None, typer.Option(metavar="NAME", autocompletion=group_names)] = None,
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", autocompletion=state_names)] = None,
    reason: Annotated[list[str] | None, typer.Option(metavar="CODE", autocompletion=reason_codes)] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Show the event log: what happened to the servers, and why."""
    settings = client_settings_of(context)
    language = reader_language(settings)
    start = _start(since, language)
    states = frozenset(known_state(name, language) for name in state or ())
    reasons = frozenset(known_reason(code, language) for code in reason or ())
    chosen = LogFilter(frozenset(server or ()), frozenset(group or ()), states, reasons)
    wanted = Wanted(DEFAULT_COUNT if count is None and start is None else count, start, chosen)
    show = _show_json if as_json else _line_printer(settings)
    try:
        run_until_interrupted(_tail(settings, wanted, show, follow=follow), language)
    except BrokenPipeError:
        discard_output()
    except DataFolderError as error:
        fail(message("cli.journal_unreadable", error=error.message), language)
    except (sqlite3.Error, PermissionError) as error:
        fail(message("cli.journal_unreadable", error=without_error_number(str(error))), language)


def _start(since: str | None, language: Language) -> float | None:
    try:
        return None if since is None else parse_since(since, datetime.now(UTC))
    except MessageError as error:
        raise typer.BadParameter(render(error.message, language), param_hint="--since") from None


def _show_json(entry: EventAnswer) -> None:
    show_bytes(json_line(entry))


def _line_printer(settings: Settings) -> Show:
    maker = LineMaker(reader_language(settings), [server.name for server in known_servers(settings)])
    screen = LineScreen()
    return lambda entry: screen.show(maker.line(entry))


async def _tail(settings: Settings, wanted: Wanted, show: Show, *, follow: bool) -> None:
    async with AsyncExitStack() as stack:
        source = await _source(stack, settings, wanted.filter)
        head = await newest_number(source)
        async for entry in newest(source, wanted, head):
            show(entry)
        if follow:
            await while_read(_follow(source, head, wanted.filter, show))


async def _follow(source: LogSource, cursor: int, wanted: LogFilter, show: Show) -> None:
    async with aclosing(source.follow(cursor, wanted)) as entries:
        async for entry in entries:
            show(entry)


async def _source(stack: AsyncExitStack, settings: Settings, wanted: LogFilter) -> LogSource:
    """Return the daemon's log, or the journal's file if no daemon answers.

    Names are checked by the daemon, which also knows servers that are no longer in the fleet.
    """
    try:
        fleet = await stack.enter_async_context(Fleet.from_settings(settings))
        source = DaemonLog(fleet, lambda note: print_note(render(note, reader_language(settings))))
        await source.page(None, 1, wanted)
    except DaemonUnavailableError as error:
        return _file_log(stack, settings, wanted, error)
    return source


def _file_log(stack: AsyncExitStack, settings: Settings, wanted: LogFilter, why: DaemonError) -> FileLog:
    path = settings.data_dir / JOURNAL_FILE
    if not path.exists():
        raise DaemonError(message("cli.no_journal", cause=why.what, path=str(path)))
    log = FileLog(path)
    stack.callback(log.close)
    servers = known_servers(settings)
    unrecorded = [name for name in wanted.servers if not log.has_server(name)]
    unknown = first_unknown(unrecorded, [one.name for one in servers], wanted.groups, {one.group for one in servers})
    if unknown is not None:
        raise unknown
    print_note(render(message("cli.from_journal", cause=why.what, path=str(path)), reader_language(settings)))
    return log
