"""`status`: the fleet as the running daemon sees it."""

import asyncio
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from statemachine.cli.api_client import DaemonApi, DaemonError, Json, daemon_api
from statemachine.cli.context import console, run, run_until_interrupted, settings_of
from statemachine.cli.wording import heading, message_text, reader_language, reason_text, state_text
from statemachine.core.messages import message
from statemachine.core.text import one_line
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import Settings

REDRAW_S = 1.0


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch")] = False,
) -> None:
    """Show every server as the running daemon sees it, those that are not loaded first.

    Exit code 0 if all are loaded, 1 if not or if no daemon answers.
    """
    settings = settings_of(context)
    language = reader_language(settings)
    if watch:
        run_until_interrupted(_watch(settings), language)
        return
    answer = run(_ask(settings), language)
    console().print(status_table(answer, language))
    raise typer.Exit(0 if all(server["cache_loaded"] for server in answer["servers"]) else 1)


async def _ask(settings: Settings) -> Json:
    async with daemon_api(settings) as api:
        return await api.get("/api/status")


async def _watch(settings: Settings) -> None:
    screen = console()
    async with daemon_api(settings) as api:
        with Live(console=screen, screen=screen.is_terminal, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(await _table_or_error(api, reader_language(settings)), refresh=True)
                await asyncio.sleep(REDRAW_S)


async def _table_or_error(api: DaemonApi, language: Language) -> RenderableType:
    """Return the table or the error, so that a restart of the daemon does not end `--watch`."""
    try:
        return status_table(await api.get("/api/status"), language)
    except DaemonError as error:
        return Text(render(error.message, language), style="red")


def status_table(answer: Json, language: Language) -> RenderableType:
    """Return the answer of /api/status as a table."""
    servers = sorted(answer["servers"], key=lambda server: server["cache_loaded"])
    table = Table(pad_edge=False)
    for key in ("server", "group", "state", "why", "queue"):
        table.add_column(heading(key, language), overflow="fold", no_wrap=key == "state")
    for server in servers:
        table.add_row(*_row(server, language))
    return Group(table, _summary(answer, language))


def _row(server: Json, language: Language) -> tuple[RenderableType, ...]:
    why = Text.assemble(
        (reason_text(server["reason"], language), "bold"), f"  {one_line(message_text(server, language))}"
    )
    queue = server["queue_remaining"]
    return (
        Text(server["name"]),
        Text(server["group"]),
        _state(server, language),
        why,
        "" if queue is None else str(queue),
    )


def _state(server: Json, language: Language) -> Text:
    text = state_text(server["state"], language)
    if server["progress"] is not None:
        text.append(f" {server['progress']:.0%}")
    return text


def _summary(answer: Json, language: Language) -> Text:
    counted = [state_text(state, language).append(f" {count}") for state, count in answer["states"].items()]
    loaded = answer["states"].get("loaded", 0)
    total = render(message("cli.summary", loaded=loaded, total=answer["total"]), language)
    return Text(total).append_text(Text(", ").join(counted))
