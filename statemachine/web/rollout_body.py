"""The bodies of requests for rolling restarts.

Without one, a server at a time is restarted and a failure ends the run, and an action is for the run that goes on.
"""

from http import HTTPStatus
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from statemachine.core.rollout import MOST_SERVERS, RolloutLimits
from statemachine.publish.serialize import Json
from statemachine.web.responses import ApiError


def _whole(value: object) -> object:
    """Return 3.0 as 3, which is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Servers = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MOST_SERVERS)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    max_unavailable: Servers = 1
    abort_after: Servers = 1


def _number(description: str) -> Json:
    return {"type": "integer", "minimum": 1, "maximum": MOST_SERVERS, "default": 1, "description": description}


LIMITS_BODY: Json = {
    "type": "object",
    "properties": {
        "max_unavailable": _number("How many servers of the group may be not warm, for any cause."),
        "abort_after": _number("How many failures in a row end the run."),
    },
    "additionalProperties": False,
}


class _RunSeen(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    run: str | None = None


SEEN_BODY: Json = {
    "type": "object",
    "properties": {
        "run": {"type": ["string", "null"], "description": "The run's id. An action on another run is refused."},
    },
    "additionalProperties": False,
}


def run_seen(body: bytes) -> str | None:
    """Return the id of the run that the client has seen, None without one. Raises ApiError 400."""
    try:
        return _RunSeen.model_validate(orjson.loads(body) if body.strip() else {}).run
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise _invalid('the body is not {"run": "the run\'s id"}; send that, or nothing') from error


def limits_of(body: bytes) -> RolloutLimits:
    """Return the limits of a request's body. Raises ApiError 400."""
    try:
        given = _Body.model_validate(orjson.loads(body) if body.strip() else {})
    except orjson.JSONDecodeError as error:
        raise _invalid(f"the body is not JSON: {error}") from error
    except ValidationError as error:
        raise _invalid(_problem(error)) from error
    return RolloutLimits(given.max_unavailable, given.abort_after)


def _problem(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part)[:100] for part in first["loc"])
    if not where:
        return 'the body is not an object; send {"max_unavailable": 2, "abort_after": 1}, or nothing'
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown; allowed: max_unavailable, abort_after"
    return f"{where}: not a whole number from 1 to {MOST_SERVERS}"


def _invalid(what: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_rollout", what)
