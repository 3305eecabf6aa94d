"""Send notifications by apprise. Import this module only if alerts are configured, because apprise is large."""

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import unquote

from apprise import Apprise, NotifyFormat, NotifyType
from pydantic import SecretStr

from statemachine.alerts.alert import Kind
from statemachine.alerts.channels import SEND_TIMEOUT_S, SendError, timed_out
from statemachine.alerts.notification import DIGEST, Notification
from statemachine.core.messages import Message, message, verbatim
from statemachine.settings.apprise_urls import new_asset, service_of

T = TypeVar("T")

MIN_SECRET_LENGTH = 4
"""Characters. Shorter parts of a URL occur in ordinary words."""
ERROR_LIMIT = 300

NOTIFY_TYPES = {Kind.FIRING: NotifyType.FAILURE, Kind.RECOVERED: NotifyType.SUCCESS, DIGEST: NotifyType.WARNING}


class AppriseChannel:
    """One URL. apprise blocks, so it is called in a thread, one call at a time."""

    def __init__(self, url: SecretStr) -> None:
        self._secrets = _secret_parts(url.get_secret_value())
        self._apprise = Apprise(asset=new_asset())
        service = service_of(url.get_secret_value())
        if service is not None:
            self._apprise.add(service)
        self._thread: threading.Thread | None = None

    async def send(self, notification: Notification) -> None:
        """Send in a thread. A thread that hangs cannot be ended, so no other is started beside it."""
        if self._thread is not None and self._thread.is_alive():
            raise SendError(message("alert.still_hanging"))
        self._thread, answer = _start_thread(lambda: self._notify(notification))
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                failure = await answer
        except TimeoutError:
            raise timed_out() from None
        if failure is not None:
            raise SendError(failure)

    def _notify(self, notification: Notification) -> Message | None:
        """Send in the thread. Return what apprise reports as the error, without parts of the URL."""
        result = self._apprise.notify(
            body=notification.body,
            title=notification.title,
            notify_type=NOTIFY_TYPES.get(notification.kind, NotifyType.INFO),
            body_format=NotifyFormat.TEXT,
        )
        if result:
            return None
        reported = " ".join(self._redacted(entry.message) for entry in result.logs())
        return verbatim(reported[:ERROR_LIMIT]) if reported else message("alert.not_taken")

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


def _start_thread(call: Callable[[], T]) -> tuple[threading.Thread, asyncio.Future[T]]:
    """Call in a new daemon thread, which delays neither other calls nor the end of the program."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def resolve(set_answer: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(lambda: None if answer.done() else set_answer())

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # its text may contain the URL
            unexpected = SendError(type(error).__name__)
            resolve(lambda: answer.set_exception(unexpected))
        else:
            resolve(lambda: answer.set_result(result))

    thread = threading.Thread(target=work, name="alert", daemon=True)
    thread.start()
    return thread, answer


def _secret_parts(url: str) -> list[str]:
    """Return all parts of a URL except its scheme, encoded and decoded, longest first."""
    rest = url.partition("://")[2] or url
    words = {word for text in (rest, unquote(rest)) for word in (text, *re.split(r"[/:@?&=,+\s]+", text))}
    return sorted((word for word in words if len(word) >= MIN_SECRET_LENGTH), key=len, reverse=True)
