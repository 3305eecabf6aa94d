"""What can go wrong when a daemon is asked. `str()` of each error says what failed and what to do.

DaemonError
├── DaemonUnavailableError   no answer, or the answer of another program
├── DaemonRefusedError       the daemon answered with an error; it has `status` (HTTP) and `code`
│   ├── TokenError           the token is missing or wrong, or may not act
│   ├── UnknownNameError     no server, group or workflow has this name
│   └── NoneWarmError        no matching server is loaded at the moment
└── NotWarmError             servers were not loaded in time; also a TimeoutError
"""

from collections.abc import Collection, Iterable

from statemachine.core.messages import Message, message, unknown
from statemachine.i18n.render import MessageError


class DaemonError(MessageError):
    """The daemon cannot be asked. `what` is the message without the advice."""

    def __init__(self, what: Message, advice: Message | None = None) -> None:
        super().__init__(what if advice is None else message("joined", first=what, rest=advice))
        self.what = what


class DaemonUnavailableError(DaemonError):
    """No daemon answers at its address."""


class DaemonRefusedError(DaemonError):
    """The daemon answered with an error."""

    def __init__(self, status: int, code: str, what: Message) -> None:
        super().__init__(what)
        self.status = status
        self.code = code


class TokenError(DaemonRefusedError):
    """The daemon does not allow the action: the token is missing or wrong, or may only read."""


class UnknownNameError(DaemonRefusedError):
    """No server, group or workflow of the fleet has this name."""


class NoneWarmError(DaemonRefusedError):
    """No matching server is loaded at the moment."""


class NotWarmError(DaemonError, TimeoutError):
    """Servers were not loaded in time. `waiting` has the state and reason of each."""

    def __init__(self, what: Message, waiting: dict[str, str]) -> None:
        super().__init__(what)
        self.waiting = waiting


_KINDS: dict[str, type[DaemonRefusedError]] = {
    "token_required": TokenError,
    "token_may_not_act": TokenError,
    "loopback_only": TokenError,
    "unknown_server": UnknownNameError,
    "unknown_group": UnknownNameError,
    "unknown_workflow": UnknownNameError,
    "none_warm": NoneWarmError,
}
NOT_FOUND = 404


def refused(status: int, code: str, text: str) -> DaemonRefusedError:
    """Return the error for an error answer of the daemon."""
    return _KINDS.get(code, DaemonRefusedError)(status, code, Message(f"cli.error.{code}", text=text))


def first_unknown(
    servers: Iterable[str], names: Collection[str], groups: Iterable[str], known_groups: Collection[str]
) -> UnknownNameError | None:
    """Return an error for the first unknown name, with the names that may be meant, or None."""
    for name in servers:
        if name not in names:
            return UnknownNameError(NOT_FOUND, "unknown_server", unknown("server", name, names))
    for name in groups:
        if name not in known_groups:
            return UnknownNameError(NOT_FOUND, "unknown_group", unknown("group", name, known_groups))
    return None
