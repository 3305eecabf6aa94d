"""`haproxy`: print an HAProxy backend for the servers of the settings and the discovered ones."""

from typing import Annotated

import typer

from statemachine.cli.context import fail, settings_of
from statemachine.cli.names import group_names
from statemachine.cli.wording import reader_language
from statemachine.core.messages import message, unknown
from statemachine.discovery.store import known_servers
from statemachine.settings import Settings
from statemachine.traffic.haproxy import backend_text

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


def haproxy(
    context: typer.Context,
    group: Annotated[str | None, typer.Option(metavar="NAME", autocompletion=group_names)] = None,
    backend: Annotated[str, typer.Option(metavar="NAME")] = "comfyui",
    agent_addr: Annotated[
        str | None,
        typer.Option(metavar="ADDR"),
    ] = None,
) -> None:
    """Print an HAProxy backend whose servers follow warmth by agent checks."""
    settings = settings_of(context)
    port = settings.traffic.agent_port
    if not port:
        fail(message("cli.no_agent_port"), reader_language(settings))
    servers = known_servers(settings)
    wanted = [server for server in servers if group in {None, server.group}]
    if group is not None and not wanted:
        groups = sorted({server.group for server in servers})
        fail(unknown("group", group, groups), reader_language(settings))
    typer.echo(backend_text(wanted, backend, agent_addr or _bound_address(settings), port), nl=False)


def _bound_address(settings: Settings) -> str:
    host = settings.traffic.agent_host
    if host in WILDCARDS:
        fail(message("cli.wildcard_agent_host", host=host), reader_language(settings))
    return host
