"""Error responses in the format of ComfyUI's own, which its clients show."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import ClientError, web
from aiohttp.typedefs import Handler
from loguru import logger

from statemachine.gateway.json_text import dumps
from statemachine.web.responses import ApiError, error_code, quoted

JSON = "application/json"


class GatewayError(Exception):
    """An error response. `code` is a stable identifier for programs, `message` is for people."""

    def __init__(self, status: HTTPStatus, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def bad_request(code: str, message: str) -> GatewayError:
    """Return the error 400."""
    return GatewayError(HTTPStatus.BAD_REQUEST, code, message)


def not_allowed(what: str) -> GatewayError:
    """Return the error 403 for an operation that would affect other clients."""
    return GatewayError(
        HTTPStatus.FORBIDDEN, "not_allowed", f"{what} would affect other clients; the gateway refuses it"
    )


def error_response(error: GatewayError) -> web.Response:
    """Return the response of an error."""
    details = {"type": error.code, "message": error.message, "details": error.message, "extra_info": {}}
    body = dumps({"error": details, "node_errors": {}})
    return web.Response(body=body, status=error.status, headers=error.headers, content_type=JSON)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into an error response, except a lost connection, where no client is left."""
    try:
        return await handler(request)
    except (GatewayError, ApiError) as error:
        found = GatewayError(error.status, error.code, error.message, error.headers)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        status = HTTPStatus(error.status)
        found = GatewayError(status, error_code(status), error.reason)
    except RecursionError:
        found = bad_request("invalid_json", "the JSON is nested too deeply")
    except (ConnectionError, asyncio.CancelledError):
        raise
    except (ClientError, TimeoutError, OSError) as error:
        logger.warning("a server did not answer {} {}: {}", quoted(request.method), quoted(request.path), error)
        found = GatewayError(HTTPStatus.BAD_GATEWAY, "server_unavailable", "the server did not answer; try again")
    except Exception:
        logger.exception("internal error in {} {}", quoted(request.method), quoted(request.path))
        message = "internal error; see the gateway's log"
        found = GatewayError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", message)
    return error_response(found)
