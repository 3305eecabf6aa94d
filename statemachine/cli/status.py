"""`status`: the fleet as the running daemon sees it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import orjson
import typer
from rich.live import Live
from rich.text import Text

from statemachine.cli.context import (
    SafeConsole,
    client_settings_of,
    console,
    run,
    run_until_interrupted,
    show_bytes,
)
from statemachine.cli.names import group_names, known_state, state_names
from statemachine.cli.source_lines import source_lines
from statemachine.cli.status_lines import status_lines
from statemachine.cli.wording import reader_language
from statemachine.client import DaemonError, Fleet, ServerAnswer, SourcesAnswer, StatusAnswer
from statemachine.client.errors import first_unknown
from statemachine.core.messages import harmless_json, message
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import Settings

REDRAW_S = 1.0
FRAME_LINES = 4
"""Lines of a screen without a server: the summary, the heading, what is hidden, and the next prompt."""
LEAST_ROWS = 5


@dataclass(frozen=True, slots=True)
class View:
    """The selected servers, and the sources of servers."""

    status: StatusAnswer
    sources: SourcesAnswer

    def as_json(self) -> str:
        """Return both in one JSON object."""
        return orjson.dumps({**self.status, **self.sources}).decode()

    def lines(self, language: Language, screen: SafeConsole, *, shows_all: bool = False) -> Text:
        """Return what to print: on a terminal, only as many servers as fit unless all are to be shown."""
        notes = source_lines(self.sources["sources"], language)
        if not screen.is_terminal:
            return status_lines(self.status, notes, language)
        rows = None if shows_all else _rows(screen, notes)
        return status_lines(self.status, notes, language, screen.width, rows)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which servers to show. An empty list selects all."""

    groups: Sequence[str]
    states: Sequence[str]

    def of(self, answer: StatusAnswer) -> StatusAnswer:
        """Return the answer with only the selected servers. Raises DaemonError for an unknown group."""
        known = {server["group"] for server in answer["servers"]}
        if unknown := first_unknown((), [], self.groups, known):
            raise unknown
        return {**answer, "servers": [server for server in answer["servers"] if self._selects(server)]}

    def _selects(self, server: ServerAnswer) -> bool:
        in_group = not self.groups or server["group"] in self.groups
        return in_group and (not self.states or server["state"] in self.states)


def status(
    context: typer.Context,
    group: Annotated[list[str] | None, typer.Option(metavar="NAME", autocompletion=group_names)] = None,
    state: Annotated[list[str] | None, typer.Option(metavar="STATE", autocompletion=state_names)] = None,
    show_all: Annotated[bool, typer.Option("--all")] = False,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    watch: Annotated[bool, typer.Option("--watch")] = False,
) -> None:
    """Show the fleet as the running daemon sees it: a summary, then a line for each server, trouble first.

    Sources of servers that are in trouble are named before them. On a terminal, only as many servers as fit are shown.
    Exit code 0 if all selected servers are loaded, 1 if not, or if no daemon answers.
    """
    settings = client_settings_of(context)
    language = reader_language(settings)
    selection = Selection(group or (), [known_state(name, language).value for name in state or ()])
    if watch and as_json:
        raise typer.BadParameter(render(message("cli.watch_or_json"), language))
    if watch:
        run_until_interrupted(_watch(settings, selection), language)
        return
    found = run(_ask(settings, selection), language)
    if as_json:
        show_bytes(harmless_json(found.as_json()).encode())
    else:
        screen = console()
        screen.print(found.lines(language, screen, shows_all=show_all), soft_wrap=True)
    raise typer.Exit(0 if all(server["cache_loaded"] for server in found.status["servers"]) else 1)


async def _ask(settings: Settings, selection: Selection) -> View:
    async with Fleet.from_settings(settings) as fleet:
        return await _view(fleet, selection)


async def _view(fleet: Fleet, selection: Selection) -> View:
    return View(selection.of(await fleet.status()), await fleet.sources())


def _rows(screen: SafeConsole, notes: Sequence[Text]) -> int:
    """Return how many servers fit on the screen below the notes, which are folded."""
    folded = sum(-(-note.cell_len // screen.width) for note in notes)
    return max(screen.height - FRAME_LINES - folded, LEAST_ROWS)


async def _watch(settings: Settings, selection: Selection) -> None:
    screen, language = console(), reader_language(settings)
    async with Fleet.from_settings(settings) as fleet:
        with Live(console=screen, screen=screen.is_terminal, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(await _lines_or_error(fleet, selection, language, screen), refresh=True)
                await asyncio.sleep(REDRAW_S)


async def _lines_or_error(fleet: Fleet, selection: Selection, language: Language, screen: SafeConsole) -> Text:
    """Return the lines or the error, so that a restart of the daemon does not end `--watch`."""
    try:
        found = await _view(fleet, selection)
    except DaemonError as error:
        return Text(render(error.message, language), style="red")
    return found.lines(language, screen)
