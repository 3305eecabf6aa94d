"""`doctor`: examine servers and report problems with advice."""

import asyncio
import os
import re
from difflib import get_close_matches
from typing import Annotated

import aiohttp
import typer
from rich.console import Console
from rich.text import Text

from statemachine.cli.context import console, run, settings_of, settings_path
from statemachine.cli.diagnostics import examine
from statemachine.cli.findings import Finding, Mark, care, line
from statemachine.cli.names import server_names
from statemachine.cli.server_handle import server_handle
from statemachine.cli.wording import reader_language
from statemachine.comfyui.network import TlsContexts, new_session, tls_contexts
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.messages import message, unknown
from statemachine.daemon.config import load_workflows
from statemachine.discovery.store import known_servers
from statemachine.i18n.render import render
from statemachine.repair.port import missing_programs
from statemachine.settings import ServerConfig, Settings, parse_settings, resolve_servers
from statemachine.settings.expand import expand_url
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.servers import ServerEntry

MAX_AT_ONCE = 16


def doctor(
    context: typer.Context,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", autocompletion=server_names),
    ] = None,
) -> None:
    """Examine servers and report what works, what does not, and what to do. Submits nothing.

    A server that is not in the settings is examined with the default settings. Exit code 1 if anything is ✗.
    """
    settings, notes = _settings(context, has_urls=bool(urls))
    servers = _chosen(settings, urls) if urls else known_servers(settings)
    if any(server.cache_check.kind in {"auto", "text"} for server in servers):
        notes.append(care("doctor.text_check"))
    notes += [Finding(Mark.BAD, trouble) for trouble in missing_programs(servers)]
    screen, language = console(), reader_language(settings)
    for note in notes:
        _print(screen, line(note, language))
    is_well = run(_examine_all(settings, servers, screen), language)
    raise typer.Exit(0 if is_well and all(note.mark is not Mark.BAD for note in notes) else 1)


def _settings(context: typer.Context, *, has_urls: bool) -> tuple[Settings, list[Finding]]:
    """Return the settings and notes about them. With URLs the settings file is optional."""
    path = settings_path(context)
    if not has_urls or path.exists():
        return settings_of(context), []
    unused = {"servers": ["http://127.0.0.1:8188"]}
    return parse_settings(unused, path.absolute().parent, os.environ), [care("doctor.no_settings", path=str(path))]


def _chosen(settings: Settings, urls: list[str]) -> tuple[ServerConfig, ...]:
    known = known_servers(settings)
    return tuple(server for url in urls for server in _find(settings, known, url))


def _find(settings: Settings, known: tuple[ServerConfig, ...], url: str) -> list[ServerConfig]:
    if by_name := [server for server in known if server.name == url]:
        return by_name
    names = [server.name for server in known]
    if not re.search(r"[:./]", url) and get_close_matches(url, names):
        raise typer.BadParameter(render(unknown("server", url, names), reader_language(settings)))
    full = url if "://" in url else f"http://{url}"
    try:
        addresses = [address.url for address in expand_url(full)]
    except NotAllowedError as error:
        problem = message("cli.not_a_server", url=url, problem=error.message)
        raise typer.BadParameter(render(problem, reader_language(settings))) from None
    by_url = {server.url: server for server in known}
    entry = ServerEntry(url=full)
    new = resolve_servers(settings.model_copy(update={"servers": (entry,)}))
    return [by_url.get(address, fresh) for address, fresh in zip(addresses, new, strict=True)]


async def _examine_all(settings: Settings, servers: tuple[ServerConfig, ...], screen: Console) -> bool:
    """Examine servers concurrently, print the findings in order and return whether none is bad."""
    slots = asyncio.Semaphore(min(MAX_AT_ONCE, settings.limits.max_checks))
    files = load_workflows(settings, servers)
    tls = tls_contexts(servers)
    is_well = True
    async with new_session() as session, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_examine_one(slots, session, tls, server, files, settings.timing.http_timeout_s))
            for server in servers
        ]
        for server, task in zip(servers, tasks, strict=True):
            found = await task
            _print(screen, Text(server.name, style="bold"))
            for finding in found:
                _print(screen, line(finding, reader_language(settings)))
            is_well = is_well and all(finding.mark is not Mark.BAD for finding in found)
    return is_well


async def _examine_one(
    slots: asyncio.Semaphore,
    session: aiohttp.ClientSession,
    tls: TlsContexts,
    server: ServerConfig,
    files: dict[str, Workflow | WorkflowError],
    timeout_s: float,
) -> list[Finding]:
    own = {name: files[name] for name in server.workflows}
    usable = tuple(file for file in own.values() if isinstance(file, Workflow))
    async with slots:
        return await examine(server_handle(session, tls, server, usable, timeout_s), own)


def _print(screen: Console, text: Text) -> None:
    screen.print(text, soft_wrap=True)
