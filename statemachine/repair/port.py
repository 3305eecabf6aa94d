"""The interface of restart hooks, and whether their programs can be started on this machine."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from loguru import logger

from statemachine.core.messages import Message, message
from statemachine.core.restart import Restart
from statemachine.i18n.render import MessageError, render
from statemachine.settings.servers import ServerConfig


class HookError(MessageError):
    """The hook failed, or did not end in time."""


class NoHooks:
    """Runs no hook, for a fleet that is not to restart servers."""

    async def run(self, server: ServerConfig, restart: Restart) -> None:
        """Refuse to run the hook."""
        raise HookError(message("restart_no_hook", server=server.name))


class HookRunner(Protocol):
    """Runs the restart hook of a server."""

    async def run(self, server: ServerConfig, restart: Restart) -> None:
        """Run the hook once, and return when it has succeeded. Raise HookError if it has not.

        A cancelled call ends the hook.
        """
        ...


def missing_programs(servers: Iterable[ServerConfig]) -> list[Message]:
    """Return which programs of hooks cannot be started, and why, each program once."""
    named: dict[str, list[str]] = {}
    for server in servers:
        if isinstance(hook := server.restart.hook, tuple):
            named.setdefault(hook[0], []).append(server.name)
    return [
        message(code, program=program, server=names[0], count=len(names))
        for program, names in named.items()
        if (code := _trouble(program)) is not None
    ]


def warn_of_programs(servers: Iterable[ServerConfig]) -> None:
    """Log which hooks would fail. The daemon runs without them."""
    for trouble in missing_programs(servers):
        logger.warning("{}", render(trouble, "en"))


def _trouble(program: str) -> str | None:
    if shutil.which(program) is not None:
        return None
    if "/" not in program:
        return "hook_not_in_path"
    return "hook_not_executable" if Path(program).exists() else "hook_not_found"
