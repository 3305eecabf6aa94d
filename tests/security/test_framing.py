"""Responses that never end outside their body, or whose body has no content, are given up at once."""

import gzip
from contextlib import suppress
from pathlib import Path

import pytest

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import ComfyError, NotAnsweringError
from statemachine.comfyui.network import NetworkTransport, new_session, tls_contexts
from statemachine.gateway.upstream import NoAnswerError, Upstream
from statemachine.gateway.upstream import new_session as gateway_session
from statemachine.settings import parse_settings, resolve_servers
from tests.faults.harness import Memory
from tests.security.endless import endless_responses
from tests.security.loop_turns import LoopTurns
from tests.support.polling import wait_until

MIB = 2**20
TIMEOUT_S = 60.0
LONGEST_TURN_S = 0.05
MOST_MEMORY = 16 * MIB
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"
PACKED = OK + b"Content-Encoding: %s\r\n\r\n"
FRAMING = "headers, interim responses or chunk sizes without end"
TOO_LARGE = "is larger than 256 KiB"

ANSWERS = {
    "interim": (b"", INTERIM, FRAMING),
    "hints": (b"", b"HTTP/1.1 103 Early Hints\r\n" + b"Link: <a>\r\n" * 100 + b"\r\n", FRAMING),
    "empty-lines": (b"", b"\r\n", FRAMING),
    "chunk-size": (CHUNKED, b"0", FRAMING),
    "chunk-extension": (CHUNKED + b"1;", b"e", FRAMING),
    "chunk-extensions": (CHUNKED, b"1;" + b"e" * 4000 + b"\r\nx\r\n", FRAMING),
    "chunks-of-one": (CHUNKED, b"1\r\nx\r\n", TOO_LARGE),
    "after-gzip": (PACKED % b"gzip" + gzip.compress(b"x"), b"y", TOO_LARGE),
    "gzip-members": (PACKED % b"gzip", gzip.compress(b"x"), TOO_LARGE),
    "gzip-name": (PACKED % b"gzip" + b"\x1f\x8b\x08\x08\0\0\0\0\0\0", b"n", TOO_LARGE),
    "empty-blocks": (PACKED % b"deflate" + b"\x78\x9c", b"\0\0\0\xff\xff", TOO_LARGE),
}
SHORT = OK + b"Content-Length: 2\r\n\r\n{}"
UNASKED = {
    "answers": (SHORT, SHORT),
    "interim": (SHORT, INTERIM),
    "interim-after-empty": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999999999\r\n\r\n", INTERIM),
}
REFUSALS = {
    "chunks-of-one": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "long-chunk-sizes": (b"Transfer-Encoding: chunked\r\n\r\n", b"00000001\r\nx\r\n"),
    "body": (b"\r\n", b"x"),
    "announced-body": (b"Content-Length: 999999999\r\n\r\n", b"x"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_answer_without_end_is_given_up_at_once(kind: str) -> None:
    head, piece, expected = ANSWERS[kind]
    with endless_responses(head, piece) as url:
        async with new_session() as session:
            client = ComfyClient(NetworkTransport(session, url, {}, lambda: TIMEOUT_S))
            with Memory() as memory:
                async with LoopTurns() as turns:
                    with pytest.raises(ComfyError, match=expected):
                        await client.get("/cache/check")
    print(f"longest turn {turns.longest_s * 1000:.0f} ms, {memory.growth / MIB:.0f} MiB more")
    assert turns.longest_s < LONGEST_TURN_S
    assert memory.growth < MOST_MEMORY


@pytest.mark.parametrize("kind", UNASKED)
async def test_answers_that_nothing_asked_for_close_the_connection(kind: str) -> None:
    with endless_responses(*UNASKED[kind]) as url:
        async with new_session() as session:
            client = ComfyClient(NetworkTransport(session, url, {}, lambda: TIMEOUT_S))
            with Memory() as memory:
                async with LoopTurns() as turns:
                    for _ in range(3):
                        with suppress(ComfyError):  # the first answer may be complete before the others arrive
                            await client.get("/cache/check")
                    await wait_until(lambda: not session.connector or not session.connector._conns)
    assert turns.longest_s < LONGEST_TURN_S
    assert memory.growth < MOST_MEMORY


@pytest.mark.parametrize("kind", ["interim", "empty-lines", "chunk-size", "chunk-extensions"])
async def test_gateway_gives_up_answers_without_end(kind: str, tmp_path: Path) -> None:
    head, piece, _ = ANSWERS[kind]
    with endless_responses(head, piece) as url:
        async with gateway_session() as session:
            (server,) = resolve_servers(parse_settings({"servers": [url]}, tmp_path, {}))
            upstream = Upstream(session, tls_contexts([server]))
            async with LoopTurns() as turns:
                with pytest.raises(NoAnswerError):
                    await upstream.json(server, "/queue")
    assert turns.longest_s < LONGEST_TURN_S


@pytest.mark.parametrize("kind", REFUSALS)
async def test_ws_refusal_without_end_is_read_to_its_beginning(kind: str) -> None:
    head, piece = REFUSALS[kind]
    with endless_responses(b"HTTP/1.1 403 Forbidden\r\n" + head, piece) as url:
        async with new_session() as session:
            transport = NetworkTransport(session, url, {}, lambda: TIMEOUT_S)
            async with LoopTurns() as turns:
                with pytest.raises(ComfyError, match=r"HTTP 403.*: 'xxxx"):
                    await transport.connect("me")
    print(f"longest turn {turns.longest_s * 1000:.0f} ms")
    assert turns.longest_s < LONGEST_TURN_S


async def test_ws_handshake_with_headers_without_end_is_given_up() -> None:
    with endless_responses(b"HTTP/1.1 101 Switching Protocols\r\n", b"a: b\r\n") as url:
        async with new_session() as session:
            transport = NetworkTransport(session, url, {}, lambda: TIMEOUT_S)
            with pytest.raises(NotAnsweringError, match="valid HTTP response"):
                await transport.connect("me")
