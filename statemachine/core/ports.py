"""What the daemon or a test passes in: clock, ownership of servers, and the operator's actions."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from typing_extensions import override

from statemachine.core.backoff import Uniform
from statemachine.core.messages import Message
from statemachine.core.pause import NO_TERMS, PauseTerms
from statemachine.core.restart import RestartTerms


class NotOwnedError(Exception):
    """No daemon looks after the server at the moment, or the one that does cannot be reached."""


class TermsIgnoredError(Exception):
    """The server is paused, but the daemon that looks after it is of a version that knows no end and no note."""


class ServerHost(Protocol):
    """The fleet as its Ownership sees it. Each call returns when it has been carried out."""

    @property
    def in_flight(self) -> Collection[str]:
        """The servers that may have a prompt of ours."""
        ...

    async def acquire(self, servers: Collection[str]) -> None:
        """Start to look after these servers."""
        ...

    async def release(self, servers: Collection[str]) -> None:
        """Stop all work for these servers. Prompts in flight stay with them."""
        ...


class Ownership(Protocol):
    """Decides which servers this daemon looks after. All methods are called on the event loop."""

    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        """Set the servers of the fleet; let `host` acquire and release our part now and whenever it changes.

        The host has already released servers that are no longer in the fleet.
        """
        ...

    def close(self) -> None:
        """Let the host acquire nothing more, because the fleet stops."""
        ...

    def owns(self, server: str) -> bool:
        """Return whether this daemon looks after the server."""
        ...

    def may_submit(self, server: str) -> bool:
        """Return whether no other daemon can own the server at this moment; called right before each POST."""
        ...


class Action(StrEnum):
    """An operator's request. The value is the last part of its API route."""

    CHECK = "check"
    WARM = "warm"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART = "restart"


Terms = PauseTerms | RestartTerms
"""The terms of a pause or of a restart."""


class ActionRefusedError(Exception):
    """The action cannot be carried out; `message` says why."""

    def __init__(self, said: Message) -> None:
        super().__init__(said.code)
        self.message = said


class NotStoredError(Exception):
    """The journal has not stored a restart or its cancellation, so that a crash would undo it; `message` says why."""

    def __init__(self, said: Message) -> None:
        super().__init__(said.code)
        self.message = said


class Operator(Protocol):
    """Pass operator actions to the servers."""

    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_TERMS) -> bool:
        """Post the action and return; return False if no such server exists.

        A restart and its cancellation return once they are stored, so that a crash does not undo them. `by` is the name
        of the client that requested the action, if it has one. `terms` are those of a pause or a restart.
        Raises NotOwnedError if the node that looks after the server cannot be reached, ActionRefusedError,
        NotStoredError, and TermsIgnoredError if that node has paused the server without the terms.
        """
        ...


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the program takes time and chance from.

    `now` returns the wall clock in epoch seconds, `uniform` a number in [0, 1), `new_id` a new unique id. Durations
    are measured on the event loop's clock instead, which a step of the wall clock does not move.
    """

    now: Callable[[], float]
    uniform: Uniform
    new_id: Callable[[], str]


class RestartClaims(Protocol):
    """Lets one server of a group at a time be restarted by triggers, also by those of other daemons."""

    async def claim(self, server: str, scopes: Sequence[str]) -> bool:
        """Return whether no server of another daemon may have begun a restart in any of these scopes."""
        ...


class SoleClaims(RestartClaims):
    """The claims of a single daemon, which knows of all its restarts."""

    @override
    async def claim(self, server: str, scopes: Sequence[str]) -> bool:
        return True


class SoleOwner(Ownership):
    """Own every server."""

    def __init__(self) -> None:
        self._owned: frozenset[str] = frozenset()

    @override
    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        before, self._owned = self._owned, frozenset(servers)
        await host.acquire([name for name in servers if name not in before])

    @override
    def close(self) -> None:
        """Do nothing: every server was acquired at once."""

    @override
    def owns(self, server: str) -> bool:
        return server in self._owned

    @override
    def may_submit(self, server: str) -> bool:
        return server in self._owned
