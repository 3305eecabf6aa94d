"""Help texts and misuse of the command line, in the reader's language.

Help is filled into the commands before their arguments are parsed. The library's errors have English texts and no
codes, so their texts are recognized; an unknown one is shown as it is. Newer versions of Typer bring their own copy of
click, so click's types are not named here.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from statemachine.cli.context import print_error, print_note
from statemachine.cli.encoding import argument_text
from statemachine.cli.tail import DEFAULT_COUNT
from statemachine.cli.wording import language_of_file
from statemachine.core.log_entry import STATE_NAMES
from statemachine.core.messages import Message, Param, message, verbatim
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.simulator import PROFILES

SETTINGS_FILE = Path("settings.json")

PATHS = frozenset({"FILE", "DIR"})
"""The placeholders of paths, which keep the bytes that the system gave them."""

VALUES: Mapping[str, Mapping[str, Param]] = {
    "help.tail.count": {"count": DEFAULT_COUNT},
    "help.tail.state": {"states": STATE_NAMES},
    "help.status.state": {"states": STATE_NAMES},
    "help.simulate.persona": {"personas": sorted(PROFILES)},
}

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


class LocalizedCommand(TyperCommand):
    """A command that shows `--help` and its usage in the reader's language, the `obj` of the root context."""

    @override
    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            if parameter.metavar not in PATHS and parameter.name in ctx.params:
                ctx.params[parameter.name] = _decoded(ctx.params[parameter.name], parameter, ctx)
        return super().invoke(ctx)

    @override
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        _write_usage(self, ctx, formatter)

    @override
    def get_help_option(self, ctx: Any) -> Any:
        return _described(super().get_help_option(ctx), ctx)


class LocalizedGroup(TyperGroup):
    """The command line as a whole."""

    @override
    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        if parent is not None:
            return super().make_context(info_name, args, parent, **extra)
        language = language_of_file(_settings_file(args))
        translate(self, "comfywarm", language)
        for name, command in self.commands.items():
            translate(command, name, language)
        with misuse_reported(language):
            return super().make_context(info_name, args, parent, obj=language, **extra)

    @override
    def invoke(self, ctx: Any) -> Any:
        with misuse_reported(ctx.obj):
            return super().invoke(ctx)

    @override
    def format_usage(self, ctx: Any, formatter: Any) -> None:
        _write_usage(self, ctx, formatter)

    @override
    def get_help_option(self, ctx: Any) -> Any:
        return _described(super().get_help_option(ctx), ctx)


def _decoded(value: Any, parameter: Any, ctx: Any) -> Any:
    """Return the texts of a parameter, of which an ASCII locale has left the bytes."""
    if isinstance(value, list | tuple):
        return type(value)(_decoded(one, parameter, ctx) for one in value)
    try:
        return argument_text(value) if isinstance(value, str) else value
    except UnicodeDecodeError:
        problem = render(message("misuse.not_utf8"), ctx.find_root().obj)
        raise typer.BadParameter(problem, ctx=ctx, param=parameter) from None


def translate(command: Any, name: str, language: Language) -> None:
    """Set the help of the command and its parameters, and the headings under which they are listed."""
    command.help = _text(f"help.{name}", language)
    command.options_metavar = _text("help.usage.options", language)
    command.subcommand_metavar = _text("help.usage.command", language)
    command.rich_help_panel = _text("help.commands", language)
    for parameter in command.params:
        parameter.help = _with_default(parameter, _text(f"help.{name}.{parameter.name}", language), language)
        parameter.show_default = False
        panel = "help.arguments" if parameter.param_type_name == "argument" else "help.options"
        parameter.rich_help_panel = _text(panel, language)
    for inner, one in getattr(command, "commands", {}).items() if name != "comfywarm" else ():
        translate(one, f"{name}-{inner}", language)


def _with_default(parameter: Any, text: str, language: Language) -> str:
    if parameter.default in (None, False):
        return text
    return render(message("help.default", help=text, value=str(parameter.default)), language)


def _write_usage(command: Any, ctx: Any, formatter: Any) -> None:
    pieces = " ".join(command.collect_usage_pieces(ctx))
    formatter.write_usage(ctx.command_path, pieces, prefix=_text("help.usage", ctx.find_root().obj))


def _described(option: Any, ctx: Any) -> Any:
    if option is not None:
        option.help = _text("help.help", ctx.find_root().obj)
        option.rich_help_panel = _text("help.options", ctx.find_root().obj)
    return option


def _text(code: str, language: Language) -> str:
    return render(Message(code, VALUES.get(code, {})), language)


def _settings_file(args: list[str]) -> Path:
    """Return the file that `--settings` names. The arguments have not been parsed yet."""
    for place, argument in enumerate(args):
        option, _, value = argument.partition("=")
        if option == "--settings":
            return Path(value or next(iter(args[place + 1 :]), SETTINGS_FILE.name))
    return SETTINGS_FILE


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
