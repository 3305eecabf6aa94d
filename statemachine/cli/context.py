"""What every command has in common: the settings, the two consoles, and a plain "no" in place of a traceback."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from rich.console import Console

from statemachine.cli.api_client import DaemonError
from statemachine.core.text import harmless
from statemachine.settings import Settings, SettingsError, SettingsFileError, load_settings

T = TypeVar("T")
PIPE_WIDTH = 200
"""Columns where the output is no terminal: tables for grep, not folded at 80."""


def console() -> Console:
    """Where answers go."""
    is_fixed = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, width=None if is_fixed else PIPE_WIDTH)


def print_error(sentence: str) -> None:
    """Say it on stderr, as it stands."""
    Console(stderr=True, highlight=False).print(harmless(sentence), style="red", markup=False, soft_wrap=True)


def print_note(sentence: str) -> None:
    """Say beside the answer, on stderr, what is not a part of it."""
    Console(stderr=True, highlight=False).print(harmless(sentence), style="dim", markup=False, soft_wrap=True)


def fail(sentence: str) -> NoReturn:
    """End the command with a plain "no": exit code 1."""
    print_error(sentence)
    raise typer.Exit(1)


def settings_path(context: typer.Context) -> Path:
    """The file that `--settings` named."""
    return Path(context.find_root().params["settings"])


def read_settings(context: typer.Context) -> Settings:
    """The settings that `--settings` named; SettingsError holds all that is wrong with them."""
    return load_settings(settings_path(context), os.environ)


def settings_of(context: typer.Context) -> Settings:
    """The settings that `--settings` named; refuses with all that is wrong with them."""
    try:
        return read_settings(context)
    except SettingsFileError as error:
        fail(str(error))
    except SettingsError as error:
        fail(f"{settings_path(context)}: {error}")


def run(work: Coroutine[Any, Any, T], language: str = "en") -> T:
    """Run it to its end; refuses, in that language, where the daemon does not help."""
    try:
        return asyncio.run(work)
    except DaemonError as error:
        fail(error.said.in_language(language))


def run_until_interrupted(work: Coroutine[Any, Any, None], language: str = "en") -> None:
    """Run what Ctrl-C is meant to end: that is no failure."""
    try:
        run(work, language)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
