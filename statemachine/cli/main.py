"""The list of commands. `statemachine.i18n.help` has their help texts.

Exit codes: 0 success, 1 "no" (a server is not loaded, a setting is invalid), 2 misuse.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from statemachine.cli.actions import pause, restart, resume, warm
from statemachine.cli.alert_test import alert_test
from statemachine.cli.check import check
from statemachine.cli.docs import diagram, schema
from statemachine.cli.doctor import doctor
from statemachine.cli.encoding import write_in_any_locale
from statemachine.cli.haproxy import haproxy
from statemachine.cli.help import SETTINGS_FILE, LocalizedCommand, LocalizedGroup
from statemachine.cli.node import node
from statemachine.cli.rollout import rollout
from statemachine.cli.serve import gateway, serve
from statemachine.cli.settings_edit import add, init, remove
from statemachine.cli.simulate import simulate
from statemachine.cli.status import status
from statemachine.cli.tail import tail
from statemachine.cli.wanted import wanted
from statemachine.version import version

app = typer.Typer(
    name="comfywarm",
    cls=LocalizedGroup,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"comfywarm {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    settings: Annotated[Path, typer.Option(metavar="FILE")] = SETTINGS_FILE,
    show_version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    if context.invoked_subcommand is None:
        serve(context)


for command in (
    init,
    add,
    remove,
    serve,
    status,
    tail,
    wanted,
    doctor,
    check,
    warm,
    pause,
    resume,
    restart,
    alert_test,
    schema,
    diagram,
    haproxy,
    gateway,
    simulate,
):
    app.command(cls=LocalizedCommand)(command)


app.add_typer(node, name="node")
app.add_typer(rollout, name="rollout")


def main() -> None:
    """Run the command line."""
    write_in_any_locale((sys.stdout, sys.stderr))
    app()
