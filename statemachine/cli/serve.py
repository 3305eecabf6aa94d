"""`serve`: the daemon itself, and the demo."""

import errno
from typing import Annotated

import typer

from statemachine.cli.context import refuse, settings_of
from statemachine.cli.lock import AlreadyRunningError
from statemachine.journal.schema import SchemaTooNewError
from statemachine.settings import Settings, SettingsError


def serve(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="Over an embedded simulated fleet; needs no settings.")] = False,
) -> None:
    """Keep the fleet warm, and serve the page and the API. This is the default command."""
    settings = None if demo else settings_of(context)
    try:
        _serve(settings)
    except OSError as error:
        remedy = "; set another listen.port, or end what uses this one" if error.errno == errno.EADDRINUSE else ""
        refuse(f"the daemon cannot run: {error}{remedy}")
    except (SettingsError, AlreadyRunningError, SchemaTooNewError) as error:
        refuse(f"the daemon cannot run: {error}")


def _serve(settings: Settings | None) -> None:
    """The daemon is imported here: the other commands start without it."""
    from statemachine.cli import daemon, demo  # noqa: PLC0415

    if settings is None:
        demo.serve_demo()
    else:
        daemon.serve(settings)
