"""The interface of a channel, and the webhook: JSON over HTTP, signed so that the receiver can verify the sender."""

import hashlib
import hmac
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import orjson
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout
from pydantic import SecretStr

from statemachine.alerts.notification import Notification
from statemachine.core.messages import Message, message
from statemachine.i18n.render import MessageError
from statemachine.version import user_agent

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


RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


class Webhook:
    """Sends JSON by POST, signed with HMAC-SHA256. Redirects are not followed."""

    def __init__(self, url: SecretStr, secret: SecretStr, now: Callable[[], float]) -> None:
        self._url = url
        self._secret = secret
        self._now = now

    async def send(self, notification: Notification) -> None:
        """Send the notification. 4xx and redirects are final errors; 5xx, 408, 425, 429 and no answer are not."""
        status = await self._post(notification.id, orjson.dumps(dict(notification.data)))
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            is_final = status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in RETRIED
            raise SendError(message("alert.status", status=status), is_final=is_final)

    async def _post(self, idempotency_id: str, body: bytes) -> int:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": user_agent(),
            "X-Comfywarm-Id": idempotency_id,
            "X-Comfywarm-Signature": signature(self._secret.get_secret_value(), int(self._now()), body),
        }
        timeout = ClientTimeout(total=SEND_TIMEOUT_S)
        try:
            async with (
                ClientSession(timeout=timeout, auto_decompress=False) as session,
                session.post(
                    self._url.get_secret_value(), data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                return response.status
        except TimeoutError:
            raise timed_out() from None
        except ClientConnectorError as error:
            raise SendError(message("alert.no_connection", error=error.strerror or type(error).__name__)) from None
        except (ClientError, OSError, ValueError) as error:
            raise SendError(type(error).__name__) from None


def signature(secret: str, at: int, body: bytes) -> str:
    """Return `t=AT,v1=HEX`, where HEX is the HMAC-SHA256 of `AT.BODY` and `at` is epoch seconds."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
