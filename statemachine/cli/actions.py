"""`warm`, `pause`, `resume`: an operator's wish, passed to the running daemon."""

from difflib import get_close_matches
from http import HTTPStatus
from typing import Annotated

import typer
from rich.text import Text

from statemachine.cli.context import console, run, settings_of
from statemachine.cli.daemon_api import DaemonApi, DaemonError, DaemonSaidNoError, daemon_api
from statemachine.settings import Settings

Name = Annotated[str, typer.Argument(help="The server's name, by default HOST:PORT.", metavar="NAME")]

SENTENCES = {
    "warm": "{name} will be warmed; `comfywarm tail -f --server {name}` shows how it goes.",
    "pause": "{name} is taken out: nothing more is submitted there until `comfywarm resume {name}`.",
    "resume": "{name} is given back: it is checked and, if need be, warmed again.",
}


def warm(context: typer.Context, name: Name) -> None:
    """Ask the running daemon to warm a server now."""
    _act(context, name, "warm")


def pause(context: typer.Context, name: Name) -> None:
    """Take a server out: the running daemon leaves it alone."""
    _act(context, name, "pause")


def resume(context: typer.Context, name: Name) -> None:
    """Give a paused server back to the running daemon."""
    _act(context, name, "resume")


def _act(context: typer.Context, name: str, action: str) -> None:
    run(_pass_on(settings_of(context), name, action))
    console().print(Text(SENTENCES[action].format(name=name)), soft_wrap=True)


async def _pass_on(settings: Settings, name: str, action: str) -> None:
    async with daemon_api(settings) as api:
        try:
            await api.act(name, action)
        except DaemonSaidNoError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise await unknown_server(api, name) from error


async def unknown_server(api: DaemonApi, name: str) -> DaemonError:
    """The refusal of a name that the daemon does not know."""
    answer = await api.get("/api/status")
    return no_such_server(name, [server["name"] for server in answer["servers"]])


def no_such_server(name: str, names: list[str]) -> DaemonError:
    """The sentence, with the names that it may have been meant for."""
    close = get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`comfywarm status` lists all of them."
    return DaemonError(f"there is no server named {name}; {hint}")
