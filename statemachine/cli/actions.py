"""`warm`, `pause`, `resume`: an operator's action on a server or a group, sent to the running daemon."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

import typer
from rich.text import Text

from statemachine.cli.api_client import (
    DaemonApi,
    DaemonError,
    DaemonRefusedError,
    Json,
    daemon_api,
    group_path,
    server_path,
)
from statemachine.cli.choices import unknown
from statemachine.cli.completion import group_names, server_names
from statemachine.cli.context import console, run, settings_of
from statemachine.cli.wording import reader_language
from statemachine.core.messages import message
from statemachine.i18n.render import render
from statemachine.settings import Settings
from statemachine.settings.durations import DurationError, parse_duration

Name = Annotated[str | None, typer.Argument(metavar="NAME", autocompletion=server_names)]
Group = Annotated[str | None, typer.Option("--group", metavar="NAME", autocompletion=group_names)]


def warm(context: typer.Context, name: Name = None, group: Group = None) -> None:
    """Ask the running daemon to warm a server, or a whole group, now."""
    _act(context, "warm", name, group)


def pause(
    context: typer.Context,
    name: Name = None,
    group: Group = None,
    duration: Annotated[str | None, typer.Option("--for", metavar="DURATION")] = None,
    note: Annotated[str | None, typer.Option(metavar="TEXT")] = None,
) -> None:
    """Pause a server, or a whole group: the daemon submits nothing to it, until it is resumed or the time is over."""
    if duration is not None:
        _require_duration(context, duration)
    _act(context, "pause", name, group, duration, note)


def _require_duration(context: typer.Context, duration: str) -> None:
    try:
        parse_duration(duration)
    except DurationError as error:
        language = reader_language(settings_of(context))
        raise typer.BadParameter(render(error.message, language), param_hint="--for") from None


def resume(context: typer.Context, name: Name = None, group: Group = None) -> None:
    """Resume a paused server, or a whole group."""
    _act(context, "resume", name, group)


def _act(
    context: typer.Context,
    action: str,
    name: str | None,
    group: str | None,
    duration: str | None = None,
    note: str | None = None,
) -> None:
    settings = settings_of(context)
    language = reader_language(settings)
    body = {key: value for key, value in (("for", duration), ("note", note)) if value is not None}
    code, said = (f"{action}.for", {"duration": duration}) if duration is not None else (action, {})
    if name is not None and group is None:
        run(_send(settings, server_path(name), action, body, servers=[name]), language)
        done = message(f"cli.{code}", name=name, **said)
    elif group is not None and name is None:
        answer = run(_send(settings, group_path(group), action, body, groups=[group]), language)
        done = message(f"cli.group.{code}", name=group, servers=str(answer.get("servers")), **said)
    else:
        raise typer.BadParameter(render(message("cli.name_or_group"), language))
    console().print(Text(render(done, language)), soft_wrap=True)


async def _send(
    settings: Settings, path: str, action: str, body: Json, *, servers: Iterable[str] = (), groups: Iterable[str] = ()
) -> Json:
    async with daemon_api(settings) as api:
        try:
            return await api.act(path, action, body)
        except DaemonRefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            raise await unknown_target(api, servers, groups) or error from error


async def unknown_target(api: DaemonApi, servers: Iterable[str], groups: Iterable[str]) -> DaemonError | None:
    """Return an error for the first name that the daemon does not know, or None."""
    answer = await api.get("/api/status")
    names = [server["name"] for server in answer["servers"]]
    known_groups = {server["group"] for server in answer["servers"]}
    return first_unknown(servers, names, groups, known_groups)


def first_unknown(
    servers: Iterable[str], names: list[str], groups: Iterable[str], known_groups: set[str]
) -> DaemonError | None:
    """Return an error for the first unknown name, with the names that may be meant, or None."""
    for name in servers:
        if name not in names:
            return DaemonError(unknown("server", name, names))
    for name in groups:
        if name not in known_groups:
            return DaemonError(unknown("group", name, known_groups))
    return None
