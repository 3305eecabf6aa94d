"""The bounds of answers, and that docs/security.md states them."""

import gzip
import re
import zlib

import pytest

from statemachine.comfyui.body_encodings import PIECE, Unpacker
from statemachine.comfyui.bounds import MIB, SMALL, bound_of, shown_size
from tests.support.paths import DOCS

ROUTES = {
    "POST /prompt": "POST /prompt",
    "GET /prompt": "GET /prompt",
    "GET /queue": "GET /queue",
    "GET /history": "GET /history/some-id",
    "GET /object_info/CLASS": "GET /object_info/Load%20it",
    "GET /system_stats": "GET /system_stats",
    "GET /node_replacements": "GET /node_replacements",
    "the cache checks": "GET /cache/check?key=k",
}


def test_docs_state_the_bound_of_every_route() -> None:
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `?((?:GET|POST|the cache) [^`|]+?)`? \| (\d+ [KM]iB) \|", text, re.MULTILINE))
    assert rows == {name: shown_size(bound_of(*request.split(" ", 1)).size) for name, request in ROUTES.items()}


def test_history_with_query_has_the_bound_of_history() -> None:
    assert bound_of("GET", "/history?max_items=2").size == bound_of("GET", "/history/x").size == 64 * MIB


def unpacked(encoding: str, body: bytes, chunk: int) -> bytes:
    unpacker = Unpacker(encoding)
    pieces = [piece for at in range(0, len(body), chunk) for piece in unpacker.pieces(body[at : at + chunk])]
    unpacker.finish()
    assert max(map(len, pieces)) <= PIECE
    return b"".join(pieces)


@pytest.mark.parametrize("chunk", [1, 10, 10**6])
def test_unpacker_returns_content_in_small_pieces(chunk: int) -> None:
    content = b"answer " * SMALL
    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": gzip.compress(content),
        "deflate": zlib.compress(content),
        "Deflate ": raw.compress(content) + raw.flush(),
    }
    for encoding, body in bodies.items():
        assert unpacked(encoding, body, chunk) == content
    assert unpacked("", content[:1000], chunk) == content[:1000]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"plain"), ("gzip", gzip.compress(b"cut off")[:-9]), ("br", b"x"), ("deflate", b"\xff\xff")],
    ids=["plain", "cut-off", "unknown", "invalid"],
)
def test_unpacker_other_content_raises(encoding: str, body: bytes) -> None:
    with pytest.raises(zlib.error):
        unpacked(encoding, body, 100)
