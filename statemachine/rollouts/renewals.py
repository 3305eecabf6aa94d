"""Which servers have no verdict for a moment because foreign work has finished: most of them are still loaded."""

from collections.abc import Callable

from statemachine.core.vocabulary import Reason, State
from statemachine.publish.serialize import StreamMessage

PRESUMED_S = 10.0
"""How long a server counts as loaded without a verdict."""


class Renewals:
    """Follows transitions. `now` returns seconds of any steady clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._loaded: set[str] = set()
        self._since: dict[str, float] = {}

    def receive(self, message: StreamMessage) -> None:
        """Note the transition of a server."""
        server, state = message.server, message.state
        if server is None or state is None:
            return
        if state is State.UNKNOWN and message.reason == Reason.FOREIGN_WORK_FINISHED and server in self._loaded:
            self._since[server] = self._now()
        elif state is not State.CHECKING:
            self._since.pop(server, None)
        if state is State.LOADED:
            self._loaded.add(server)
        else:
            self._loaded.discard(server)

    def __contains__(self, server: str) -> bool:
        """Return whether the server was loaded, and its check is being repeated."""
        since = self._since.get(server)
        return since is not None and self._now() - since < PRESUMED_S
