"""The command line. Every command is a module of its own; this is the list of them.

Exit codes: 0 fine, 1 a plain "no" (a server is not loaded, a setting is wrong), 2 misuse.
"""

from pathlib import Path
from typing import Annotated

import typer

from statemachine.cli.actions import pause, resume, warm
from statemachine.cli.alert_test import alert_test
from statemachine.cli.check import check
from statemachine.cli.docs import diagram, schema
from statemachine.cli.doctor import doctor
from statemachine.cli.haproxy import haproxy
from statemachine.cli.serve import serve
from statemachine.cli.simulate import simulate
from statemachine.cli.status import status
from statemachine.cli.tail import tail
from statemachine.version import version

app = typer.Typer(
    name="comfywarm",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"comfywarm {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _before_any(
    context: typer.Context,
    settings: Annotated[Path, typer.Option(metavar="FILE", help="The settings file.")] = Path("settings.json"),
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Keep fleets of ComfyUI servers warm. Without a command: serve."""
    if context.invoked_subcommand is None:
        serve(context, demo=False)


for command in (
    serve,
    status,
    tail,
    doctor,
    check,
    warm,
    pause,
    resume,
    alert_test,
    schema,
    diagram,
    haproxy,
    simulate,
):
    app.command()(command)


def main() -> None:
    """What `run.py` and the installed command call."""
    app()
