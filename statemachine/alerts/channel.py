"""The ways on which a message leaves the house. A way knows nothing of rules, limits and retries.

What goes wrong is told without the address: URLs of services are secrets.
"""

from typing import Protocol

from statemachine.alerts.notification import Notification
from statemachine.core.messages import Message, message
from statemachine.i18n.render import MessageError

SEND_TIMEOUT_S = 30.0


class SendError(MessageError):
    """The message was not taken, as far as is known. `is_final`: trying again is useless."""

    def __init__(self, why: Message | str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


def no_answer() -> SendError:
    """It took longer than anybody waits. It may have arrived all the same."""
    return SendError(message("alert.no_answer", seconds=SEND_TIMEOUT_S))


class Channel(Protocol):
    """One way to somebody."""

    async def send(self, letter: Notification) -> None:
        """Return once it was taken; SendError where it was not."""
        ...
