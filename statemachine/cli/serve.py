"""`serve`: the daemon, and the demo. `gateway`: ComfyUI's API for the whole fleet."""

import errno
from pathlib import Path
from typing import Annotated

import typer

from statemachine.cli.context import fail, language_of, read_settings, settings_of, settings_path
from statemachine.client.access import daemon_api
from statemachine.cluster.store import ClusterUnavailableError
from statemachine.core.messages import Message, message, without_error_number
from statemachine.daemon.config import SettingsFile
from statemachine.daemon.process import AlreadyRunningError
from statemachine.journal.private import DataFolderError
from statemachine.journal.schema import SchemaTooNewError
from statemachine.settings import Settings, SettingsError
from statemachine.settings.listen import Listen


def serve(
    context: typer.Context,
    demo: Annotated[bool, typer.Option("--demo")] = False,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, metavar="PORT")] = None,
) -> None:
    """Keep the fleet warm, and serve the page and the API. This is the default command."""
    settings = None if demo else _listening_at(port, settings_of(context))
    language = language_of(context)
    try:
        if settings is None:
            _serve_demo(port)
        else:
            source = SettingsFile(settings_path(context), lambda: _listening_at(port, read_settings(context)))
            _serve(settings, source)
    except OSError as error:
        fail(_cannot_run(error), language)
    except SettingsError as error:
        fail(message("cli.cannot_run", error=error.message), language)
    except (AlreadyRunningError, DataFolderError, SchemaTooNewError, ClusterUnavailableError) as error:
        fail(message("cli.cannot_run", error=error.message), language)


def _listening_at(port: int | None, settings: Settings) -> Settings:
    """Return the settings with the port of the command line."""
    if port is None:
        return settings
    return settings.model_copy(update={"listen": settings.listen.model_copy(update={"port": port})})


def _cannot_run(error: OSError) -> Message:
    code = "cli.address_in_use" if error.errno == errno.EADDRINUSE else "cli.cannot_run"
    return message(code, error=without_error_number(str(error)))


def _serve(settings: Settings, source: SettingsFile) -> None:
    """Run the daemon, which is imported here so that other commands start faster."""
    from statemachine.daemon import app  # noqa: PLC0415

    app.serve(settings, source)


def _serve_demo(port: int | None) -> None:
    from statemachine.cli import demo  # noqa: PLC0415

    demo.serve_demo(Listen().port if port is None else port)


def gateway(
    context: typer.Context,
    port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    data_dir: Annotated[Path | None, typer.Option(metavar="DIR")] = None,
) -> None:
    """Serve ComfyUI's API for the whole fleet."""
    from statemachine.gateway import process  # noqa: PLC0415 - other commands start faster

    settings = settings_of(context)
    language = language_of(context)
    if settings.gateway is None:
        fail(message("cli.no_gateway"), language)
    given = {"port": port, "data_dir": data_dir and data_dir.absolute()}
    chosen = settings.gateway.model_copy(update={key: value for key, value in given.items() if value is not None})
    try:
        process.serve(settings, chosen, lambda: daemon_api(settings))
    except OSError as error:
        fail(message("cli.gateway_cannot_run", error=without_error_number(str(error))), language)
    except (AlreadyRunningError, DataFolderError) as error:
        fail(message("cli.gateway_cannot_run", error=error.message), language)
