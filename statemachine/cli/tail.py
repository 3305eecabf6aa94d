"""`tail`: the event log, from the running daemon or, without one, from the journal."""

import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import typer

from statemachine.cli.actions import no_such_server, unknown_server
from statemachine.cli.context import console, refuse, remark, run_until_interrupted, settings_of
from statemachine.cli.daemon_api import (
    DaemonApi,
    DaemonAwayError,
    DaemonSaidNoError,
    Json,
    daemon_api,
    server_path,
)
from statemachine.cli.log_line import LineMaker, json_line
from statemachine.cli.log_sources import DaemonLog, FileLog, LogSource, Wanted
from statemachine.cli.since import parse_since
from statemachine.journal.store import JOURNAL_FILE, JournalStore
from statemachine.settings import Settings, resolve_servers

DEFAULT_COUNT = 20
Show = Callable[[Json], None]


def tail(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what happens, until Ctrl-C.")] = False,
    count: Annotated[
        int | None,
        typer.Option("-n", min=0, metavar="N", help=f"The newest N entries. Default: {DEFAULT_COUNT}, or all since T."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="2026-01-31T08:00:00Z, or how long ago: 10m, 2h, 1d.")
    ] = None,
    server: Annotated[str | None, typer.Option(metavar="NAME", help="Only this server.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as in the API.")] = False,
) -> None:
    """Show the event log: what happened to the servers, and why."""
    settings = settings_of(context)
    start = _start(since)
    wanted = Wanted(DEFAULT_COUNT if count is None and start is None else count, start, server)
    show = _show_json if as_json else _line_printer(settings)
    try:
        run_until_interrupted(_tail(settings, wanted, show, follow=follow))
    except sqlite3.Error as error:
        refuse(f"the journal cannot be read: {error}")


def _start(since: str | None) -> float | None:
    try:
        return None if since is None else parse_since(since, datetime.now(UTC))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from None


def _show_json(entry: Json) -> None:
    print(json_line(entry), flush=True)


def _line_printer(settings: Settings) -> Show:
    screen, maker = console(), LineMaker(settings.language)
    return lambda entry: screen.print(maker.line(entry), soft_wrap=True)


async def _tail(settings: Settings, wanted: Wanted, show: Show, *, follow: bool) -> None:
    async with AsyncExitStack() as stack:
        source = await _source(stack, settings, wanted.server)
        entries, cursor = await source.newest(wanted)
        for entry in entries:
            show(entry)
        if follow:
            more = await stack.enter_async_context(aclosing(source.follow(cursor, wanted.server)))
            async for entry in more:
                show(entry)


async def _source(stack: AsyncExitStack, settings: Settings, server: str | None) -> LogSource:
    """The daemon's stream or, where no daemon answers, the journal's file."""
    try:
        api = await stack.enter_async_context(daemon_api(settings))
        await _check_daemon(api, server)
    except DaemonAwayError as error:
        return _file_log(stack, settings, server, str(error))
    return DaemonLog(api, remark)


async def _check_daemon(api: DaemonApi, server: str | None) -> None:
    try:
        await api.get("/healthz" if server is None else server_path(server))
    except DaemonSaidNoError as error:
        if server is None or error.status != HTTPStatus.NOT_FOUND:
            raise
        raise await unknown_server(api, server) from error


def _file_log(stack: AsyncExitStack, settings: Settings, server: str | None, why: str) -> FileLog:
    path = settings.data_dir / JOURNAL_FILE
    if not path.exists():
        refuse(f"{why}, and there is no journal at {path}")
    store = JournalStore(path, read_only=True)
    stack.callback(store.close)
    if server is not None and not store.newest_entries(1, server):
        names = [config.name for config in resolve_servers(settings)]
        if server not in names:
            refuse(str(no_such_server(server, names)))
    remark(f"{why}; this is from the journal at {path}")
    return FileLog(store)
