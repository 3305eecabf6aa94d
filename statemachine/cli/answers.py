"""What commands read in the daemon's answers. Another program at its address may answer anything."""

from datetime import datetime
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, TypeAdapter
from typing_extensions import TypedDict

Scalar = str | int | float | None


def _require_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the time has no zone")
    return text


Time = Annotated[str, AfterValidator(_require_time)]


class ServerAnswer(TypedDict):
    name: str
    group: str
    state: str
    since: Time | None
    reason: str
    message: str
    cache_loaded: bool
    progress: float | None
    queue_remaining: Scalar
    next_action_at: NotRequired[Time | None]


class StatusAnswer(TypedDict):
    generated_at: Time
    servers: list[ServerAnswer]
    states: dict[str, Scalar]
    total: Scalar


EntryAnswer = TypedDict(
    "EntryAnswer",
    {
        "id": int | None,
        "at": Time,
        "server": str | None,
        "from": str | None,
        "to": str | None,
        "reason": str,
        "message": str,
    },
)


class LogAnswer(TypedDict):
    entries: list[EntryAnswer]
    next: int | None


_SHAPES: dict[str, TypeAdapter[Any]] = {"/api/status": TypeAdapter(StatusAnswer), "/api/log": TypeAdapter(LogAnswer)}


def require_answer(path: str, answer: Any) -> None:
    """Raise ValueError if an answer to `GET path` lacks what commands read, or has it with another type."""
    if path in _SHAPES:
        _SHAPES[path].validate_python(answer, strict=True)
