"""JSON responses, errors in one format, and compression for clients that accept it."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from loguru import logger

from statemachine.core.messages import harmless
from statemachine.core.ports import ActionRefusedError, NotOwnedError, NotStoredError, TermsIgnoredError
from statemachine.core.server import ServerView
from statemachine.i18n.render import render
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.serialize import Json
from statemachine.publish.snapshot import Snapshot

COMPRESS_FROM = 1_024
"""Minimum size in bytes of a compressed response; smaller ones fit into one packet anyway."""

_COMPRESS_IN_THREAD_FROM = 65_536
"""Minimum size in bytes of a response that is compressed in a thread, to keep the event loop free."""

_MAX_QUOTED = 100
_MAX_NAMES = 20
"""Limits of what an error message repeats: characters of a value, and names of groups."""


REFUSALS = frozenset({"restart_no_hook", "restart_paused", "restart_not_stored", "cancellation_not_stored"})
"""Codes of the messages of refused actions. An owner of another version may refuse for another reason."""


class ApiError(Exception):
    """An error response. `code` is a stable identifier for programs, `message` is for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def quoted(value: str) -> str:
    """Return a value of the request in double quotes, on one line and cut to 100 characters."""
    text = harmless(value[:_MAX_QUOTED]).replace("\n", "\\n")
    return f'"{text}"'


def unknown_server(name: str) -> ApiError:
    """Return the error 404 for a server that is not in the fleet."""
    message = f"unknown server {quoted(name)}; see /api/status for all names"
    return ApiError(HTTPStatus.NOT_FOUND, "unknown_server", message)


def unknown_group(snapshot: Snapshot, group: str) -> ApiError:
    """Return the error 404 for a group without servers; it names the groups that exist."""
    groups = sorted({view.group for view in snapshot})
    names = ", ".join([*groups[:_MAX_NAMES], *(["…"] if len(groups) > _MAX_NAMES else [])])
    message = f"unknown group {quoted(group)}; available: {names}"
    return ApiError(HTTPStatus.NOT_FOUND, "unknown_group", message)


def existing_server(snapshot: Snapshot, name: str) -> ServerView:
    """Return the view of a server, or raise ApiError 404."""
    view = snapshot.get(name)
    if view is None:
        raise unknown_server(name)
    return view


def rounded(value: float | None, digits: int) -> float | None:
    """Return a figure with this many digits; None stays None."""
    return None if value is None else round(value, digits)


def json_response(
    data: Json | list[Json], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return the data as JSON that must not be cached."""
    body = orjson.dumps(data)
    response = web.Response(
        body=body,
        status=status,
        headers={"Cache-Control": "no-store", "Vary": "Accept-Encoding", **(headers or {})},
        content_type="application/json",
        charset="utf-8",
        zlib_executor_size=_COMPRESS_IN_THREAD_FROM,
    )
    if len(body) >= COMPRESS_FROM:
        response.enable_compression()
    return response


def error_response(
    status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an error in the format of `ErrorSchema`."""
    return json_response({"error": {"code": code, "message": message}}, status, headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an error response, except a lost connection, where no client is left."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error.status, error.code, error.message, error.headers)
    except web.HTTPException as error:
        return _from_aiohttp(request, error)
    except ConnectionError:
        raise
    except (NotOwnedError, TermsIgnoredError, NotStoredError, ActionRefusedError) as error:
        return _not_carried_out(error)
    except JournalUnavailableError as error:
        logger.error("cannot read the journal for {}: {}", quoted(request.path), error)
        message = "the journal cannot be read at the moment; try again later"
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "journal_unavailable", message)
    except Exception:
        logger.exception("internal error in {} {}", quoted(request.method), quoted(request.path))
        message = "internal error; see the daemon's log"
        return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def _not_carried_out(
    error: NotOwnedError | TermsIgnoredError | NotStoredError | ActionRefusedError,
) -> web.Response:
    """Return the response to an action that no daemon carries out as requested, or that is not possible."""
    if isinstance(error, NotOwnedError | TermsIgnoredError):
        code = "owner_away" if isinstance(error, NotOwnedError) else "terms_ignored"
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, code, str(error))
    is_refused = isinstance(error, ActionRefusedError)
    code = error.message.code if error.message.code in REFUSALS else "action_refused"
    status = HTTPStatus.CONFLICT if is_refused else HTTPStatus.SERVICE_UNAVAILABLE
    return error_response(status, code, render(error.message, "en"))


_RENAMED = {
    HTTPStatus(413): "request_entity_too_large",
    HTTPStatus(414): "request_uri_too_long",
    HTTPStatus(416): "requested_range_not_satisfiable",
    HTTPStatus(422): "unprocessable_entity",
}
"""Statuses with another phrase since Python 3.13; the codes of errors stay."""


def error_code(status: HTTPStatus) -> str:
    """Return the code of an error that has none of its own."""
    return _RENAMED.get(status, status.phrase.lower().replace(" ", "_"))


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    """Convert an error raised by aiohttp: an unknown path, a wrong method, a body that is too large."""
    if error.status < HTTPStatus.BAD_REQUEST:
        raise error
    status = HTTPStatus(error.status)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        method, path = quoted(request.method), quoted(request.path)
        message = f"method {method} is not allowed for {path}; allowed: {allowed}"
        return error_response(status, "method_not_allowed", message, {"Allow": allowed})
    message = f"path {quoted(request.path)} not found" if status is HTTPStatus.NOT_FOUND else error.reason
    return error_response(status, error_code(status), message)
