"""Misuse of the command line, reported in the reader's language.

The library's errors have English texts and no codes, so their texts are recognized; an unknown one is shown as it is.
Newer versions of Typer bring their own copy of click, so click's types are not named here.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from statemachine.cli.context import print_error, print_note
from statemachine.core.messages import Message, Param, message, verbatim
from statemachine.i18n.render import render
from statemachine.i18n.text import Language

CLOSE = r"\W*(?:Did you mean|Possible options:) (?P<close>[^?)]+)[?)]"

PATTERNS: tuple[tuple[str, str], ...] = (
    (r"No such command '(?P<name>.*)'\.", "misuse.command"),
    (rf"No such command '(?P<name>.*)'\.{CLOSE}", "misuse.command_close"),
    (r"No such option: (?P<name>\S+)", "misuse.option"),
    (rf"No such option: (?P<name>\S+){CLOSE}", "misuse.option_close"),
    (r"Got unexpected extra arguments?(?:\(s\))? \((?P<arguments>.*)\)", "misuse.arguments"),
    (r"Option '(?P<name>.*)' requires an argument\.", "misuse.no_value"),
    (r"Option '(?P<name>.*)' does not take a value\.", "misuse.value"),
    (r"Invalid value for '?(?P<name>.*?)'?: (?P<problem>.*)", "misuse.invalid"),
    (r"Invalid value: (?P<problem>.*)", "misuse.problem"),
    (r"Input should be a valid integer\b.*|'.*' is not a valid integer\.", "misuse.integer"),
    (r"Input should be a valid number\b.*|'.*' is not a valid float\.", "misuse.number"),
    (r"Input should be greater than or equal to (?P<least>\S+)", "misuse.least"),
    (r"Input should be less than or equal to (?P<most>\S+)", "misuse.most"),
    (r"\S+ is not in the range (?P<range>.*)\.", "misuse.range"),
)
"""Texts of click and Typer, older and newer, and the codes that replace them."""


@contextmanager
def misuse_reported(language: Language) -> Iterator[None]:
    """Report an error of the arguments with the usage, and end the command with the error's exit code."""
    try:
        yield
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        _report(error, language)
        raise typer.Exit(getattr(error, "exit_code", 2)) from None


def _report(error: Any, language: Language) -> None:
    context = error.ctx
    if context is not None:
        print_note(context.get_usage())
        command = f"{context.command_path} {context.help_option_names[0]}"
        print_note(render(message("help.hint", command=command), language))
    print_error(render(misuse(error.format_message()), language))


def misuse(text: str) -> Message:
    """Return the message for an error text of the library."""
    for pattern, code in PATTERNS:
        if found := re.fullmatch(pattern, text, re.DOTALL):
            params: dict[str, Param] = {**found.groupdict()}
            if "problem" in params:
                params["problem"] = misuse(found["problem"])
            return Message(code, params)
    return verbatim(text)
