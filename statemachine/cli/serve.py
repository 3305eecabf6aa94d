"""`serve`: the daemon itself, and the demo."""

import errno
from typing import Annotated

import typer

from statemachine.cli.context import fail, read_settings, settings_of, settings_path
from statemachine.cluster.store import ClusterUnavailableError
from statemachine.daemon.config import SettingsFile
from statemachine.daemon.process import AlreadyRunningError
from statemachine.journal.schema import SchemaTooNewError
from statemachine.settings import Settings, SettingsError


def serve(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo", help="Over an embedded simulated fleet; needs no settings.")] = False,
) -> None:
    """Keep the fleet warm, and serve the page and the API. This is the default command."""
    try:
        if demo:
            _serve_demo()
        else:
            _serve(settings_of(context), SettingsFile(settings_path(context), lambda: read_settings(context)))
    except OSError as error:
        remedy = "; set another listen.port, or end what uses this one" if error.errno == errno.EADDRINUSE else ""
        fail(f"the daemon cannot run: {error}{remedy}")
    except (SettingsError, AlreadyRunningError, SchemaTooNewError, ClusterUnavailableError) as error:
        fail(f"the daemon cannot run: {error}")


def _serve(settings: Settings, source: SettingsFile) -> None:
    """The daemon is imported here: the other commands start without it."""
    from statemachine.daemon import app  # noqa: PLC0415

    app.serve(settings, source)


def _serve_demo() -> None:
    from statemachine.cli import demo  # noqa: PLC0415

    demo.serve_demo()
