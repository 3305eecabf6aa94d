"""The body of POST /api/decisions, in which a gateway reports what it has decided."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from statemachine.publish.serialize import Json
from statemachine.routing.decision import (
    MAX_MISSING,
    MAX_MODEL_NAME,
    MAX_OTHERS,
    Explanation,
    Prospect,
    RunnerUp,
    Why,
    shown_models,
)

MAX_DECISIONS = 200
MAX_NUMBER = 10**15
MAX_SECONDS = 1e9
MAX_NAME = 300


def _whole(value: object) -> object:
    """Return 3.0 as 3, which is an integer in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Number = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=MAX_NUMBER)]
ServerName = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
ModelName = Annotated[str, Field(min_length=1, max_length=MAX_MODEL_NAME)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ReportedRunnerUp(_Part):
    """A server that would have been the next best."""

    server: ServerName
    prospect: Prospect
    expected_wait_s: Seconds


class ReportedDecision(_Part):
    """Where a prompt went and why. `age_s` is the time since then, so that no clocks are compared."""

    age_s: Seconds
    server: ServerName
    reason: Why
    cold: bool | None
    expected_wait_s: Seconds | None
    missing: Annotated[list[ModelName], Field(max_length=MAX_MISSING)]
    others: Annotated[list[ReportedRunnerUp], Field(max_length=MAX_OTHERS)]

    def explanation(self, is_known: Callable[[str], bool]) -> Explanation:
        """Return the decision without runners-up that the daemon does not know."""
        known = [one for one in self.others if is_known(one.server)]
        others = tuple(RunnerUp(one.server, one.prospect, one.expected_wait_s) for one in known)
        return Explanation(
            self.server, self.reason, self.cold, self.expected_wait_s, shown_models(self.missing), others
        )


class DecisionReport(_Part):
    """Decisions of one gateway, in their order. `first` is the number of the first, `oldest` of those it still has."""

    gateway: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    oldest: Number
    first: Number
    decisions: Annotated[list[ReportedDecision], Field(max_length=MAX_DECISIONS)]


def parse_report(body: bytes) -> DecisionReport:
    """Return the report in a body. Raises ValidationError."""
    return DecisionReport.model_validate_json(body)


def _object(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(longest: int) -> Json:
    return {"type": "string", "minLength": 1, "maxLength": longest}


_SECONDS: Json = {"type": "number", "minimum": 0, "maximum": MAX_SECONDS}
_NUMBER: Json = {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER}
_RUNNER_UP = _object(
    server=_text(MAX_NAME),
    prospect={"enum": [one.value for one in Prospect]},
    expected_wait_s=_SECONDS,
)
_DECISION = _object(
    age_s=_SECONDS,
    server=_text(MAX_NAME),
    reason={"enum": [one.value for one in Why]},
    cold={"type": ["boolean", "null"]},
    expected_wait_s={**_SECONDS, "type": ["number", "null"]},
    missing={"type": "array", "maxItems": MAX_MISSING, "items": _text(MAX_MODEL_NAME)},
    others={"type": "array", "maxItems": MAX_OTHERS, "items": _RUNNER_UP},
)
REPORT = _object(
    gateway={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    oldest=_NUMBER,
    first=_NUMBER,
    decisions={"type": "array", "maxItems": MAX_DECISIONS, "items": _DECISION},
)
"""The JSON Schema of a report."""
