"""The interface of restart hooks."""

from typing import Protocol

from statemachine.core.messages import message
from statemachine.core.restart import Restart
from statemachine.i18n.render import MessageError
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
