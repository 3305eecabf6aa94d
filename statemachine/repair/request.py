"""A hook that is an HTTP request, to the server itself or to another program."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import SecretStr
from typing_extensions import override

from statemachine.core.messages import message, without_error_number
from statemachine.repair.command import OUTPUT_LIMIT, shown_output
from statemachine.repair.port import HookError
from statemachine.settings.masking import Mask
from statemachine.settings.restarts import HttpHook
from statemachine.settings.servers import ServerConfig
from statemachine.version import user_agent

LONG_WORD = 16
"""Characters. A segment of a path that is at least so long may be a token."""


def hook_url(hook: HttpHook, server: ServerConfig) -> str:
    """Return the URL with the server's name and group; a path starts at the server's URL."""
    url = hook.url
    for place, value in (("{name}", server.name), ("{group}", server.group)):
        url = url.replace(place, quote(value, safe=""))
    return server.url + url if url.startswith("/") else url


def hook_headers(hook: HttpHook, server: ServerConfig) -> dict[str, str]:
    """Return the headers of the request. Only the server itself gets the server's own."""
    own: Mapping[str, str] = {}
    if hook.url.startswith("/"):
        own = {name: value.get_secret_value() for name, value in server.headers.items()}
    return {**own, **{name: value.get_secret_value() for name, value in hook.headers.items()}}


class OneConnection(aiohttp.TCPConnector):
    """Connects once. aiohttp sends a GET, PUT or DELETE again if its connection ends without an answer."""

    _is_used = False

    @override
    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        if self._is_used:
            raise aiohttp.ServerDisconnectedError
        self._is_used = True
        return await super().connect(req, traces, timeout)


async def send_request(
    hook: HttpHook,
    server: ServerConfig,
    timeout_s: float,
    tls: ssl.SSLContext | None,
    mask: Mask,
) -> None:
    """Send the request once. Raises HookError unless it succeeds.

    A reboot route of the server may end the server before it answers, so a connection that was open and ends counts
    as success there: whether the server restarts is seen afterwards.
    """
    on_server = hook.url.startswith("/")
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession(
                connector=OneConnection(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": user_agent()},
                trust_env=False,
            ) as session,
            session.request(
                hook.method,
                hook_url(hook, server),
                data=hook.body.get_secret_value().encode() if hook.body is not None else None,
                headers=hook_headers(hook, server),
                timeout=aiohttp.ClientTimeout(),
                allow_redirects=False,
                ssl=(tls if on_server else None) or True,
            ) as response,
        ):
            status = response.status
            body = b"" if response.ok else await response.content.read(OUTPUT_LIMIT)
    except TimeoutError:
        raise HookError(message("hook_timed_out", seconds=timeout_s, output=message("hook_no_output"))) from None
    except aiohttp.ClientConnectorError as error:
        raise HookError(message("hook_unanswered", cause=_cause(error.os_error, mask))) from None
    except (aiohttp.ServerDisconnectedError, ConnectionResetError, aiohttp.ClientPayloadError) as error:
        if on_server:
            return
        raise HookError(message("hook_unanswered", cause=type(error).__name__)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        if on_server and isinstance(error, aiohttp.ClientOSError):
            return
        raise HookError(message("hook_unanswered", cause=_cause(error, mask))) from None
    if not 200 <= status < 300:  # noqa: PLR2004 - the range of success
        raise HookError(message("hook_refused", status=status, output=shown_output(mask, body)))


def _cause(error: Exception, mask: Mask) -> str:
    return mask.text(without_error_number(str(error)) or type(error).__name__)


def secret_parts(hook: HttpHook, server: ServerConfig) -> Iterator[SecretStr]:
    """Yield what of the URL may be a secret: its query, and the path of another program with its tokens.

    A path of the server itself is a route of ComfyUI.
    """
    for url in (hook.url, hook_url(hook, server)):
        parts = urlsplit(url)
        path = "" if hook.url.startswith("/") else parts.path.removeprefix("/")
        values = (one.partition("=")[2] for one in parts.query.split("&"))
        tokens = (one for one in path.split("/") if _may_be_token(one))
        yield from (SecretStr(one) for one in (parts.query, path, *values, *tokens))


def _may_be_token(segment: str) -> bool:
    """Return whether a segment of a path is long, or more than a plain word."""
    return "{" not in segment and (len(segment) >= LONG_WORD or not (segment.isalpha() and segment.islower()))
