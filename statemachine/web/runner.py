"""The runner of the web application, which also answers requests that aiohttp fails to handle."""

from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from multidict import CIMultiDict, CIMultiDictProxy
from typing_extensions import override
from yarl import URL

_INVALID = URL("/invalid-target")


class PageRunner(web.AppRunner):
    """A runner that answers every request.

    For a whole URL without a valid host, such as `http://xn--/`, aiohttp 3.14 raises outside of any handler and leaves
    the connection open; the answer is 404. For an expectation that is not UTF-8 it fails; unknown ones are ignored.
    """

    @override
    async def setup(self) -> None:
        await super().setup()
        server = cast(web.Server, self.server)  # set by now
        make = server.request_factory

        def make_tolerantly(message: RawRequestMessage, *context: Any) -> web.BaseRequest:
            message = _without_unknown_expectation(message)
            try:
                return make(message, *context)
            except ValueError:
                return make(message._replace(url=_INVALID), *context)

        server.request_factory = make_tolerantly


def _without_unknown_expectation(message: RawRequestMessage) -> RawRequestMessage:
    if message.headers.get(hdrs.EXPECT, "100-continue").lower() == "100-continue":
        return message
    headers = CIMultiDict(message.headers)
    headers.popall(hdrs.EXPECT)
    return message._replace(headers=CIMultiDictProxy(headers))
