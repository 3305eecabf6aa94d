"""`gateway`: one address for the whole fleet that speaks ComfyUI's API."""

from pathlib import Path
from typing import Annotated

import typer

from statemachine.cli.context import fail, language_of, settings_of
from statemachine.client.access import daemon_api
from statemachine.core.messages import message, without_error_number
from statemachine.daemon.process import AlreadyRunningError
from statemachine.journal.private import DataFolderError


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
