"""Where notifications are sent. A channel does not know rules, limits or retries.

Errors never contain the address, because URLs of services are secrets.
"""

from typing import Protocol

from statemachine.alerts.notification import Notification
from statemachine.core.messages import Message, message
from statemachine.i18n.render import MessageError

SEND_TIMEOUT_S = 30.0


class SendError(MessageError):
    """Raised if a notification was probably not accepted. `is_final` means that a retry is useless."""

    def __init__(self, why: Message | str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


def timed_out() -> SendError:
    """Return the error for a missing response. The notification may have arrived."""
    return SendError(message("alert.no_answer", seconds=SEND_TIMEOUT_S))


class Channel(Protocol):
    """One address."""

    async def send(self, notification: Notification) -> None:
        """Return once the notification was accepted. Raise SendError if it was not."""
        ...
