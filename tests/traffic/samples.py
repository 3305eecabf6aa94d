"""Views of servers."""

from typing import Any

from statemachine.core.messages import NO_MESSAGE
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State

NOW = 1_767_225_600.0


def view(name: str, state: State = State.LOADED, **members: Any) -> ServerView:
    """Return the view of a server, by default checked five seconds ago."""
    usual: dict[str, Any] = {
        "group": "default",
        "last_check": NOW - 5,
        "since": NOW - 5,
        "workflows": ("cache_models",),
        "reason": Reason.KEYS_MISSING,
        "message": NO_MESSAGE,
    }
    return ServerView(name=name, url=f"http://{name}", state=state, **(usual | members))
