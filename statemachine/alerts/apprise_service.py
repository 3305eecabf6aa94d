"""Services of apprise as channels. Importing this imports apprise, which is large: only where alerts are set."""

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
from statemachine.alerts.channel import SEND_TIMEOUT_S, SendError, no_answer
from statemachine.alerts.notification import DIGEST, Notification
from statemachine.core.messages import Message, message, verbatim
from statemachine.settings.apprise_urls import new_asset, service_of

T = TypeVar("T")

MASKED_LENGTH = 4
"""Characters. Shorter parts of a URL may be a part of any word."""
WHY_LIMIT = 300

KINDS = {Kind.FIRING: NotifyType.FAILURE, Kind.RECOVERED: NotifyType.SUCCESS, DIGEST: NotifyType.WARNING}


class Service:
    """One URL. It is called in a thread, for apprise blocks; one call at a time."""

    def __init__(self, url: SecretStr) -> None:
        self._secrets = _secret_parts(url.get_secret_value())
        self._apprise = Apprise(asset=new_asset())
        service = service_of(url.get_secret_value())
        if service is not None:
            self._apprise.add(service)
        self._thread: threading.Thread | None = None

    async def send(self, letter: Notification) -> None:
        """See Channel. A thread that hangs cannot be ended; it is left alone, and nothing more is begun beside it."""
        if self._thread is not None and self._thread.is_alive():
            raise SendError(message("alert.still_hanging"))
        self._thread, answer = _in_thread(lambda: self._notify(letter))
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                why_not = await answer
        except TimeoutError:
            raise no_answer() from None
        if why_not is not None:
            raise SendError(why_not)

    def _notify(self, letter: Notification) -> Message | None:
        """In the thread: what went wrong, in apprise's words and without the URL's."""
        result = self._apprise.notify(
            body=letter.body,
            title=letter.title,
            notify_type=KINDS.get(letter.kind, NotifyType.INFO),
            body_format=NotifyFormat.TEXT,
        )
        if result:
            return None
        said = " ".join(self._masked(entry.message) for entry in result.logs())
        return verbatim(said[:WHY_LIMIT]) if said else message("alert.not_taken")

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())


def _in_thread(call: Callable[[], T]) -> tuple[threading.Thread, asyncio.Future[T]]:
    """Call it in a thread of its own, which keeps neither other calls waiting nor the program from ending."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(lambda: None if answer.done() else settle())

    def work() -> None:
        try:
            result = call()
        except Exception as error:  # what a plug-in says of itself may hold the URL
            failure = SendError(type(error).__name__)
            tell(lambda: answer.set_exception(failure))
        else:
            tell(lambda: answer.set_result(result))

    thread = threading.Thread(target=work, name="alert", daemon=True)
    thread.start()
    return thread, answer


def _secret_parts(url: str) -> list[str]:
    """All words of a URL but its scheme, also as they were meant before they were encoded; the longest first."""
    rest = url.partition("://")[2] or url
    words = {word for text in (rest, unquote(rest)) for word in (text, *re.split(r"[/:@?&=,+\s]+", text))}
    return sorted((word for word in words if len(word) >= MASKED_LENGTH), key=len, reverse=True)
