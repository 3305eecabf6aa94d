"""How answers are written: JSON, compressed for those who ask, and errors that always have the same shape."""

from collections.abc import Mapping
from http import HTTPStatus

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from loguru import logger

from statemachine.core.ownership import NotOwnedError
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.serialize import Json

COMPRESS_FROM = 1_024
"""Bytes; smaller answers fit one packet anyway."""

_COMPRESS_ELSEWHERE_FROM = 65_536
"""Bytes; larger ones are compressed in a thread, so that the loop goes on."""


class ApiError(Exception):
    """An answer that is an error. `code` is for programs and never changes, `message` is for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


def json_response(
    data: Json | list[Json], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The data as JSON that nobody may cache."""
    body = orjson.dumps(data)
    response = web.Response(
        body=body,
        status=status,
        headers={"Cache-Control": "no-store", "Vary": "Accept-Encoding", **(headers or {})},
        content_type="application/json",
        charset="utf-8",
        zlib_executor_size=_COMPRESS_ELSEWHERE_FROM,
    )
    if len(body) >= COMPRESS_FROM:
        response.enable_compression()
    return response


def error_response(
    status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The one shape of every error."""
    return json_response({"error": {"code": code, "message": message}}, status, headers)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into an error answer. A client that has gone away needs none."""
    try:
        return await handler(request)
    except ApiError as error:
        return error_response(error.status, error.code, error.message, error.headers)
    except web.HTTPException as error:
        return _from_aiohttp(request, error)
    except ConnectionError:
        raise
    except NotOwnedError as error:
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "owner_away", str(error))
    except JournalUnavailableError as error:
        logger.error("the journal cannot be read for {}: {}", request.path, error)
        message = "the journal cannot be read at the moment"
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "journal_unavailable", message)
    except Exception:
        logger.exception("{} {} failed", request.method, request.path)
        message = "this is a mistake in comfywarm; its log says more"
        return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)


def _from_aiohttp(request: web.Request, error: web.HTTPException) -> web.Response:
    """What aiohttp refuses by itself: unknown paths, wrong methods, bodies too large."""
    if error.status < HTTPStatus.BAD_REQUEST:
        raise error
    status = HTTPStatus(error.status)
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not allowed at {request.path}; allowed: {allowed}"
        return error_response(status, "method_not_allowed", message, {"Allow": allowed})
    message = f"there is nothing at {request.path}" if status is HTTPStatus.NOT_FOUND else error.reason
    return error_response(status, status.phrase.lower().replace(" ", "_"), message)
