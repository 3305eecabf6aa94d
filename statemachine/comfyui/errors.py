"""Why a request to a ComfyUI server brought no usable answer.

ComfyError
├── NotAnsweringError        no answer from the server itself: timed out, broken off, or the status of a proxy or tunnel
│   └── ConnectRefusedError  nothing listens at the server's address
├── AccessDeniedError        401, 403, or a redirect to a sign-in page
├── RateLimitedError         429: too many requests
├── AbsentError              404: the server has no such route
├── CacheTooSmallError       the server cannot keep the workflows loaded together that only history could confirm
│   └── CacheDisabledError   it keeps nothing between prompts
├── IncompleteQueueError     the queue's list does not account for all prompts that the server counts
└── NotUnderstoodError       an answer that ComfyUI does not give; `raw` keeps its text
    └── TooLargeError        an answer beyond the bound of its route (bounds.py), which was not read to its end
"""

from typing import ClassVar

from statemachine.comfyui.extra_data import without_credentials
from statemachine.core.messages import Message, message, verbatim
from statemachine.core.vocabulary import Reason
from statemachine.i18n.render import MessageError

RAW_LIMIT = 2_000
"""Characters of an answer that are kept for people to read."""
RAW_SHOWN = 200
"""Characters of an answer that a message quotes."""


class ComfyError(MessageError):
    """Any of the errors below.

    `reason` is the reason of a server whose check ends so; `raw` is the beginning of the answer's text.
    """

    reason: ClassVar[Reason] = Reason.CHECK_UNRECOGNISED
    raw: str = ""


class NotAnsweringError(ComfyError):
    """The server itself did not answer."""


class ConnectRefusedError(NotAnsweringError):
    """Nothing listens at the server's address, so ComfyUI is not running."""


class AccessDeniedError(ComfyError):
    """The server requires credentials, or rejects those it was given."""

    reason = Reason.ACCESS_DENIED

    def __init__(self, what: Message | str, raw: str = "") -> None:
        super().__init__(what)
        self.raw = without_credentials(raw[:RAW_LIMIT])


class RateLimitedError(ComfyError):
    """The server or a proxy accepts no more requests for now. `retry_after_s` is its Retry-After, None without one."""

    reason = Reason.RATE_LIMITED

    def __init__(self, what: Message | str, retry_after_s: float | None = None, raw: str = "") -> None:
        super().__init__(what)
        self.retry_after_s = retry_after_s
        self.raw = without_credentials(raw[:RAW_LIMIT])


class AbsentError(ComfyError):
    """The server has no such route."""

    reason = Reason.CHECK_ABSENT


class CacheTooSmallError(ComfyError):
    """The server's cache does not hold these workflows together, so that they displace one another."""

    reason = Reason.CACHE_TOO_SMALL


class CacheDisabledError(CacheTooSmallError):
    """The server keeps nothing between prompts, so a workflow that only history could confirm is never loaded."""

    reason = Reason.CACHE_DISABLED


class IncompleteQueueError(ComfyError):
    """The queue lists fewer prompts than the server counts, so a prompt that is not listed may be in it."""


class NotUnderstoodError(ComfyError):
    """The answer is not one that ComfyUI gives. `status` is the HTTP status; `raw` the beginning of the text."""

    def __init__(self, what: Message | str, status: int = 200, raw: str = "") -> None:
        known = verbatim(what) if isinstance(what, str) else what
        raw = without_credentials(raw[:RAW_LIMIT])
        shown = message("answer_raw", what=known, status=status, raw=repr(raw[:RAW_SHOWN]))
        super().__init__(shown if raw else message("answer_status", what=known, status=status))
        self.status = status
        self.raw = raw


class TooLargeError(NotUnderstoodError):
    """The answer exceeds the bound of its route, or is large and slow. It was not read to its end."""

    def __init__(self, what: Message, status: int = 200, raw: str = "") -> None:
        super().__init__(what, status, raw)
        self.what = what
