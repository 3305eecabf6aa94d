"""Names on the command line: what a shell completes, and what a command accepts.

A completion must never fail or print: with a missing or invalid settings file it offers nothing.
"""

import os
from collections.abc import Iterable

import typer

from statemachine.cli.context import settings_path
from statemachine.core.log_entry import REASON_CODES, STATE_NAMES
from statemachine.core.messages import unknown
from statemachine.core.vocabulary import State
from statemachine.discovery.store import known_servers
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings import ServerConfig, SettingsError, load_client_settings

MOST_OFFERED = 500
"""A shell shows the candidates in columns; more do not help."""


def server_names(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the servers."""
    return _starting_with(incomplete, (server.name for server in _servers(context)))


def group_names(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the names of the groups."""
    return _starting_with(incomplete, dict.fromkeys(server.group for server in _servers(context)))


def state_names(incomplete: str) -> list[str]:
    """Offer the states."""
    return _starting_with(incomplete, STATE_NAMES)


def reason_codes(incomplete: str) -> list[str]:
    """Offer the reason codes."""
    return _starting_with(incomplete, REASON_CODES)


def _servers(context: typer.Context) -> tuple[ServerConfig, ...]:
    try:
        return known_servers(load_client_settings(settings_path(context), os.environ), warns=False)
    except SettingsError:
        return ()


def _starting_with(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)][:MOST_OFFERED]


def known_state(name: str, language: Language) -> State:
    """Return the state of this name. Raises BadParameter."""
    if name not in STATE_NAMES:
        raise typer.BadParameter(render(unknown("state", name, STATE_NAMES), language), param_hint="--state")
    return State(name)


def known_reason(code: str, language: Language) -> str:
    """Return the reason code. Raises BadParameter."""
    if code not in REASON_CODES:
        raise typer.BadParameter(render(unknown("reason", code, REASON_CODES), language), param_hint="--reason")
    return code
