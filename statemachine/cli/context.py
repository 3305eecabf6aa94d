"""What all commands share: the settings, the consoles, and errors without tracebacks."""

import asyncio
import os
import select
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text
from typing_extensions import override

from statemachine.cli.wording import language_of_file
from statemachine.client import DaemonError
from statemachine.core.messages import Message, harmless, verbatim
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import Settings, SettingsError, SettingsFileError, load_client_settings, load_settings

T = TypeVar("T")
PIPE_WIDTH = 200
"""Columns if the output is not a terminal, so that tables are not folded at 80."""


class SafeConsole(Console):
    """A console without highlighting that escapes control characters in all output."""

    def __init__(self, *, stderr: bool = False, width: int | None = None, soft_wrap: bool = False) -> None:
        super().__init__(highlight=False, stderr=stderr, width=width, soft_wrap=soft_wrap)

    @override
    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments; those that move the cursor are rich's own."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(harmless(one.text), one.style)


def console() -> SafeConsole:
    """Return the console for a command's output."""
    is_fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return SafeConsole(width=None if is_fixed else PIPE_WIDTH)


def print_error(text: str) -> None:
    """Print an error on stderr."""
    SafeConsole(stderr=True).print(text, style="red", markup=False, soft_wrap=True)


def print_note(text: str) -> None:
    """Print on stderr a note that is not part of the output."""
    SafeConsole(stderr=True).print(text, style="dim", markup=False, soft_wrap=True)


def fail(what: Message, language: Language) -> NoReturn:
    """Print the error and end the command with exit code 1."""
    print_error(render(what, language))
    raise typer.Exit(1)


def settings_path(context: typer.Context) -> Path:
    """Return the file of `--settings`."""
    return Path(context.find_root().params["settings"])


def language_of(context: typer.Context) -> Language:
    """Return the reader's language even if the settings are missing or invalid."""
    return language_of_file(settings_path(context))


def read_settings(context: typer.Context) -> Settings:
    """Return the settings of `--settings`. Raises SettingsError."""
    return load_settings(settings_path(context), os.environ)


def settings_of(context: typer.Context) -> Settings:
    """Return the settings of `--settings`, or fail with their problems."""
    return _loaded(context, load_settings)


def client_settings_of(context: typer.Context) -> Settings:
    """Return them for a command that asks the daemon, which needs no secret of the settings."""
    return _loaded(context, load_client_settings)


def _loaded(context: typer.Context, load: Callable[[Path, Mapping[str, str]], Settings]) -> Settings:
    try:
        return load(settings_path(context), os.environ)
    except SettingsFileError as error:
        language = language_of(context)
        fail(verbatim(error.text(language)), language)
    except SettingsError as error:
        language = language_of(context)
        fail(verbatim(f"{settings_path(context)}: {error.text(language)}"), language)


def run(work: Coroutine[Any, Any, T], language: Language) -> T:
    """Run the coroutine. Fail if the daemon does not answer, or refuses."""
    try:
        return asyncio.run(work)
    except DaemonError as error:
        fail(error.message, language)


def run_until_interrupted(work: Coroutine[Any, Any, None], language: Language) -> None:
    """Run the coroutine until it ends or Ctrl-C is pressed, which is a success."""
    try:
        run(work, language)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


LOOK_S = 0.5


class LineScreen(SafeConsole):
    """A console for lines: coloured on a terminal, not folded or cut, and raising BrokenPipeError."""

    def __init__(self) -> None:
        super().__init__(soft_wrap=True)

    def show(self, line: Text) -> None:
        """Print a line immediately."""
        self.print(line)

    @override
    def on_broken_pipe(self) -> NoReturn:
        """Raise what other writers raise. Rich would exit with code 1."""
        raise BrokenPipeError


def show_bytes(line: bytes) -> None:
    """Print a line immediately, independent of the locale's encoding."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def while_read(work: Coroutine[Any, Any, None]) -> None:
    """Run until the work ends or the pipe of standard output is closed, even if nothing is written."""
    tasks = {asyncio.create_task(work), asyncio.create_task(_until_pipe_closes())}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _until_pipe_closes() -> None:
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    while not poll.poll(0):  # noqa: ASYNC110 - no event reports it
        await asyncio.sleep(LOOK_S)


def discard_output() -> None:
    """Discard further output, so that the program ends without an error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
