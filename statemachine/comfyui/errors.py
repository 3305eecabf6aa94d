"""Why a request to a ComfyUI server gave nothing to go by.

ComfyError
├── NotAnsweringError     no answer of the server's own: refused, timed out, broken off, or a proxy's 502/503/504
├── AccessDeniedError     401, 403, or a redirect to a login page
├── AbsentError           404: the server has no such route
└── NotUnderstoodError    an answer that is not what ComfyUI says; `raw` keeps its text
"""


class ComfyError(Exception):
    """Any of the above. The text is one sentence for people."""


class NotAnsweringError(ComfyError):
    """Nothing came back that the server itself said."""


class AccessDeniedError(ComfyError):
    """The server wants credentials, or refuses those it was given."""


class AbsentError(ComfyError):
    """There is no such route."""


RAW_LIMIT = 2_000


class NotUnderstoodError(ComfyError):
    """The answer is not what ComfyUI says. `status` is that of HTTP; `raw` the beginning of its text."""

    def __init__(self, what: str, status: int = 200, raw: str = "") -> None:
        shown = f": {raw[:200]!r}" if raw else ""
        super().__init__(f"{what} (HTTP {status}{shown})")
        self.status = status
        self.raw = raw[:RAW_LIMIT]
