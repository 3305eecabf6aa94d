"""What delays the warm-up of a cold server, apart from users' work: no answer, an incomplete list, or no journal."""

from collections.abc import Iterator
from contextlib import contextmanager

from statemachine.comfyui.errors import ComfyError, IncompleteQueueError, NotAnsweringError
from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.vocabulary import Reason
from statemachine.fleet.context import ServerContext

FAILURES_PUBLISHED = 2
"""Failures in a row after which the state names the obstacle. A single lost answer is not worth an entry."""

_OBSTACLES = (Reason.QUEUE_UNANSWERED, Reason.JOURNAL_UNAVAILABLE)


class DelayError(ComfyError):
    """Nothing can be submitted yet; the message has the cause."""


@contextmanager
def asking(path: str) -> Iterator[None]:
    """Turn a missing or incomplete answer to `GET path` into a DelayError."""
    try:
        yield
    except NotAnsweringError as error:
        raise DelayError(message("request_unanswered", path=path, error=error.message)) from error
    except IncompleteQueueError as error:
        raise DelayError(error.message) from error


class Obstacle:
    """Publish the obstacle of one cold server, once for each cause, and its end."""

    __slots__ = ("_before", "_context", "_failures")

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._before = context.server.reason, context.server.message
        self._failures = 0

    def met(self, cause: Message) -> None:
        """Count a failure; publish its cause if it lasts."""
        self._failures += 1
        if self._failures >= FAILURES_PUBLISHED:
            self._context.post(events.SubmissionDelayed(Reason.QUEUE_UNANSWERED, cause))

    def journal_met(self) -> None:
        """Publish that the journal cannot be written, and why."""
        cause = message("nothing_submitted", cause=self._context.fleet.journal.trouble)
        self._context.post(events.SubmissionDelayed(Reason.JOURNAL_UNAVAILABLE, cause))

    def passed(self) -> None:
        """Publish the reason for which the server is cold, if an obstacle was published."""
        self._failures = 0
        if self._context.server.reason in _OBSTACLES:
            self._context.post(events.SubmissionDelayed(*self._before))
