"""The server's response to a /ws handshake, as far as it has to be read.

The library reads up to 1 MiB of a refusal's body in one turn of the event loop, and copies what it has for each chunk.
"""

import re

from statemachine.comfyui.errors import (
    RAW_SHOWN,
    AccessDeniedError,
    ComfyError,
    NotAnsweringError,
    RateLimitedError,
)
from statemachine.comfyui.transport import REDIRECTS, Reply
from statemachine.core.messages import message

MOST_LINE = 8 * 1024
"""Bytes of a line that are kept together. The library refuses longer ones."""
MOST_BODY = 8 * 1024
"""Bytes of a refusal's body. A message quotes 2,000 characters."""

_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3})\b")
_SWITCHING = b"101"
_OF_BODY = re.compile(rb"(content-length|transfer-encoding)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,9}")
_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[^\r\n]*\r\n")


class HandshakeReader:
    """Takes what is read. The library then reads a refusal's body up to the end of the stream."""

    def __init__(self) -> None:
        self.in_body = False
        """Whether the head of a refusal is complete."""
        self._is_refusal: bool | None = None
        self._is_chunked = False
        self._size = MOST_BODY
        self._unread = b""

    def lines(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return the lines of the head for the library, and what follows the head."""
        data, self._unread = self._unread + data, b""
        lines, at = list[bytes](), 0
        while not self.in_body and (end := data.find(b"\n", at) + 1):
            lines.append(self._line(data[at:end]))
            at = end
            if self._is_refusal is False and not lines[-1].strip():
                return lines, data[at:]
        if self.in_body:
            return lines, data[at:]
        if len(data) - at > MOST_LINE:
            return [*lines, data[at:]], b""
        self._unread = data[at:]
        return lines, b""

    def body(self, data: bytes, *, has_ended: bool = False) -> bytes | None:
        """Return the beginning of the refusal's body once enough has arrived, None before."""
        self._unread += data[: MOST_BODY - len(self._unread)]
        content, is_whole = _unchunked(self._unread) if self._is_chunked else (self._unread, False)
        is_enough = is_whole or len(self._unread) >= self._size
        return content[: self._size] if has_ended or is_enough else None

    def _line(self, line: bytes) -> bytes:
        if self._is_refusal is None:
            status = _STATUS.match(line)
            self._is_refusal = status is not None and status[1] != _SWITCHING
        elif self._is_refusal and (header := _OF_BODY.match(line)):
            self._note(header[1].lower(), header[2].strip())
            return b""
        self.in_body = self._is_refusal and line in (b"\r\n", b"\n")
        return line

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._size = min(MOST_BODY, int(value)) if _LENGTH.fullmatch(value) else MOST_BODY
        else:
            self._is_chunked = True


def _unchunked(data: bytes) -> tuple[bytes, bool]:
    """Return the content of a chunked body, and whether it is complete."""
    content, at = list[bytes](), 0
    while chunk := _CHUNK.match(data, at):
        size = int(chunk[1], 16)
        if not size:
            return b"".join(content), True
        content.append(data[chunk.end() : chunk.end() + size])
        at = chunk.end() + size
    return b"".join(content), False


def handshake_error(reply: Reply) -> ComfyError:
    """Return the error for a reply to the handshake. Without the connection, /ws is always "not answering"."""
    try:
        reply.raise_for_gateway("GET", "/ws")
    except RateLimitedError as error:
        return RateLimitedError(message("ws_failed", error=error.message), error.retry_after_s, error.raw)
    except NotAnsweringError as error:
        return NotAnsweringError(message("ws_failed", error=error.message))
    if reply.is_denial:
        return AccessDeniedError(message("ws_failed", error=reply.denial), reply.text)
    if reply.status in REDIRECTS:
        return NotAnsweringError(message("ws_redirected", status=reply.status, location=reply.location[:RAW_SHOWN]))
    return NotAnsweringError(message("ws_status", status=reply.status))
