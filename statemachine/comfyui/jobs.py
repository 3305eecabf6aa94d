"""One prompt as `GET /api/jobs/ID` reports it, which ComfyUI has since 0.6.

The answer for a queued prompt has a few fields, while GET /queue has the graphs of all prompts.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from statemachine.comfyui.errors import (
    ComfyError,
    NotAnsweringError,
    NotUnderstoodError,
    RateLimitedError,
    TooLargeError,
)
from statemachine.comfyui.records import end_of_status
from statemachine.comfyui.server_json import shown
from statemachine.comfyui.transport import OK, Reply
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source

Found = events.PromptEnd | events.PromptAccepted

QUEUED = frozenset({"pending", "in_progress"})


class JobRoute:
    """The route on one server, used until it is found to be absent."""

    __slots__ = ("_absent", "_get")

    def __init__(self, get: Callable[[str], Awaitable[Reply]]) -> None:
        self._get = get
        self._absent = False

    def forget(self) -> None:
        """Try the route again, because another server may run at the address now."""
        self._absent = False

    async def find(self, attempt: Attempt) -> Found | None:
        """Return how the attempt's prompt ended or that it is queued; None decides nothing.

        The server may not have the route, may have chosen another id, or may hold the prompt between its two reads, of
        the queue and of the history. Raises NotAnsweringError or RateLimitedError.
        """
        if self._absent:
            return None
        try:
            return _found(await self._get(f"/api/jobs/{quote(attempt.server_prompt_id, safe='')}"), attempt)
        except RateLimitedError:
            raise
        except NotAnsweringError:
            self._absent = True  # this route may hang alone
            raise
        except TooLargeError:
            return None
        except ComfyError:
            self._absent = True
            return None


def _found(reply: Reply, attempt: Attempt) -> Found | None:
    """Return what the answer says of the prompt. Raises ComfyError for one that the route does not give."""
    if _reports_absence(reply):
        return None
    answer = reply.raise_for_status().json_object()
    match answer:
        case {"id": attempt.server_prompt_id, "execution_status": dict() as status}:
            return end_of_status(attempt.prompt_id, status)
        case {"id": attempt.server_prompt_id, "status": str() as status} if status in QUEUED:
            return events.PromptAccepted(attempt.prompt_id, attempt.server_prompt_id, Source.QUEUE)
    raise NotUnderstoodError(message("unexpected_answer"), OK, shown(answer))


def _reports_absence(reply: Reply) -> bool:
    """Return whether the route itself answers that it has no such prompt, with a 404 in JSON."""
    try:
        return reply.is_absent and "error" in reply.json_object()
    except NotUnderstoodError:
        return False
