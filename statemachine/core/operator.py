"""What an operator can ask of a server."""

from enum import StrEnum
from typing import Protocol


class Action(StrEnum):
    """An operator's request. The value is the last part of its API route."""

    CHECK = "check"
    WARM = "warm"
    PAUSE = "pause"
    RESUME = "resume"


class Operator(Protocol):
    """Pass operator actions to the servers."""

    async def act(self, server: str, action: Action) -> bool:
        """Post the action and return at once; return False if no such server exists.

        Raises NotOwnedError if the node that looks after the server cannot be reached.
        """
        ...
