"""`check`: validate the settings and ask each server's cache check once. Submits nothing."""

import asyncio
from dataclasses import dataclass

import typer
from rich.table import Table
from rich.text import Text

from statemachine.cli.context import console, fail, print_error, run, settings_of
from statemachine.cli.server_handle import ServerHandle, server_handle
from statemachine.cli.wording import heading, reader_language, state_text
from statemachine.comfyui.checks import kinds_of
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.network import new_session, tls_contexts
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core import events
from statemachine.core.messages import NO_MESSAGE, Message, message, one_line, verbatim
from statemachine.core.vocabulary import Reason, State
from statemachine.daemon.config import load_workflows
from statemachine.discovery.store import known_servers
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.repair.port import missing_programs
from statemachine.settings import ServerConfig, Settings


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of one server's check, with the state that a daemon would assign."""

    server: ServerConfig
    state: State
    kind: str
    message: Message


def check(context: typer.Context) -> None:
    """Validate settings and workflow files, then ask every server's cache check once.

    Nothing is submitted, but a text check may make a server start loading by itself.
    Exit code 0 if every server is loaded, and the programs of restart hooks are there.
    """
    settings = settings_of(context)
    servers = known_servers(settings)
    language = reader_language(settings)
    reports = run(_ask_all(settings, servers, _usable_workflows(settings, servers)), language)
    console().print(_table(reports, language))
    missing = missing_programs(servers)
    for trouble in missing:
        print_error(render(trouble, language))
    raise typer.Exit(0 if not missing and all(report.state is State.LOADED for report in reports) else 1)


def _usable_workflows(settings: Settings, servers: tuple[ServerConfig, ...]) -> dict[str, Workflow]:
    loaded = load_workflows(settings, servers)
    language = reader_language(settings)
    problems = [render(one.message, language) for one in loaded.values() if isinstance(one, WorkflowError)]
    if problems:
        head = render(message("cli.workflow_files"), language)
        fail(verbatim("\n  - ".join([head, *problems])), language)
    return {name: one for name, one in loaded.items() if isinstance(one, Workflow)}


async def _ask_all(
    settings: Settings, servers: tuple[ServerConfig, ...], workflows: dict[str, Workflow]
) -> list[CheckReport]:
    slots = asyncio.Semaphore(settings.limits.max_checks)
    tls = tls_contexts(servers)
    async with new_session() as session:

        async def ask(server: ServerConfig) -> CheckReport:
            wanted = tuple(workflows[name] for name in server.workflows)
            async with slots:
                return await _ask(server_handle(session, tls, server, wanted, settings.timing.http_timeout_s))

        return await asyncio.gather(*(ask(server) for server in servers))


async def _ask(server: ServerHandle) -> CheckReport:
    kind = server.config.cache_check.kind
    try:
        event = (await server.cache_check(kinds_of(kind)).ask(epoch=0)).event
    except NotAnsweringError as error:
        return CheckReport(server.config, State.UNREACHABLE, kind, error.message)
    if isinstance(event, events.CheckUnusable):
        return CheckReport(server.config, _state_of(event), kind, event.message)
    return _answered(server.config, event)


def _state_of(event: events.CheckUnusable) -> State:
    """Return the state that the daemon's table has for this event."""
    unknown = event.reason in (Reason.CHECK_UNRECOGNISED, Reason.RATE_LIMITED)
    return State.UNKNOWN if unknown else State.FAILED


def _answered(server: ServerConfig, event: events.CheckAnswered) -> CheckReport:
    if not event.needed:
        return CheckReport(server, State.LOADED, event.kind, NO_MESSAGE)
    state = State.AUTO_EXECUTING if event.auto_executing else State.COLD
    return CheckReport(server, state, event.kind, _why(event))


def _why(event: events.CheckAnswered) -> Message:
    if event.below and not event.missing:
        return message("reported_below", keys=event.below)
    return message("cli.missing", keys=event.missing or event.needed)


def _table(reports: list[CheckReport], language: Language) -> Table:
    table = Table(pad_edge=False)
    for key in ("server", "group", "check", "state", "why"):
        table.add_column(heading(key, language), overflow="fold")
    for one in reports:
        cells = (one.server.name, one.server.group, one.kind)
        table.add_row(
            *(Text(cell) for cell in cells),
            state_text(one.state.value, language),
            Text(one_line(render(one.message, language))),
        )
    return table
