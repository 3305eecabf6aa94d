"""The response to a /ws handshake, in any pieces."""

import pytest

from statemachine.comfyui.handshake import MOST_BODY, HandshakeReader

REFUSED = b"HTTP/1.1 403 Forbidden\r\nServer: x\r\n"


def read(response: bytes, size: int) -> tuple[bytes, bytes | None]:
    """Return the head for the library and the body, of a response that arrives in pieces of this size."""
    reader, head, body = HandshakeReader(), b"", None
    for at in range(0, len(response), size):
        piece = response[at : at + size]
        lines, rest = ([], piece) if reader.in_body else reader.lines(piece)
        head += b"".join(lines)
        if reader.in_body and body is None:
            body = reader.body(rest)
    return head, body if body is not None else reader.body(b"", has_ended=True)


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 9\r\n\r\n", b"sign in!\n"),
        (b"content-length : 9\r\n\r\n", b"sign in!\nHTTP/1.1 200 OK"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nsign \r\n4;x=y\r\nin!\n\r\n0\r\n\r\n"),
        (b"\r\n", b"sign in!\n"),
    ],
)
def test_refusal_body_is_read_as_announced(headers: bytes, body: bytes, size: int) -> None:
    assert read(REFUSED + headers + body, size) == (REFUSED + b"\r\n", b"sign in!\n")


@pytest.mark.parametrize("length", [b"-1", b"9" * 5000, b"x", b"", b"\xb2"])
def test_refusal_invalid_length_reads_to_the_bound(length: bytes) -> None:
    head, body = read(REFUSED + b"Content-Length: " + length + b"\r\n\r\n" + b"x" * 20_000, 1_000)
    assert (head, body) == (REFUSED + b"\r\n", b"x" * MOST_BODY)


@pytest.mark.parametrize("size", [1, 10_000])
def test_upgrade_bytes_after_the_head_are_returned(size: int) -> None:
    reader, head = HandshakeReader(), b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n"
    response, passed, rest = head + b"\x81\x00", b"", b""
    for at in range(0, len(head), size):
        lines, rest = reader.lines(response[at : at + size] if size == 1 else response)
        passed += b"".join(lines)
    assert passed == head
    assert rest == (b"" if size == 1 else b"\x81\x00")


def test_line_without_end_is_passed_on() -> None:
    assert HandshakeReader().lines(b"x" * 10_000) == ([b"x" * 10_000], b"")
