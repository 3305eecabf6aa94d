"""Spellings in which a server echoes a secret, and the search for any of them in the daemon's output."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

VARIABLE = "HOSTILE_SECRET"
SECRET = "s3cret/of+hostile&kinds=<42>"
HEADERS = {"Authorization": f"Bearer ${{{VARIABLE}}}"}
ENVIRONMENT = {VARIABLE: SECRET}
ROUNDS = 4
"""Encodings may be nested."""
ESCAPES = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([/\"\\]))")


INVISIBLE = ("\u200b", "\x1b[0m", "\u202e", "\0")


def echoes() -> list[str]:
    """Return the secret as JSON, HTML and URLs may spell it, also nested."""
    every = [f"%{byte:02x}" for byte in SECRET.encode()]
    return [
        SECRET,
        f"Bearer {SECRET}",
        SECRET.replace("/", "\\/"),
        SECRET.replace("+", "\\u002B").replace("/", "\\u002f"),
        "".join(f"\\u{ord(one):04x}" for one in SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote(quote(SECRET, safe=""), safe=""),
        "".join(every),
        html.escape(SECRET),
        html.escape(SECRET).replace(";", ""),
        "".join(f"&#{ord(one)};" for one in SECRET),
        "".join(f"&#x{ord(one):x};" for one in SECRET),
        json.dumps(json.dumps(html.escape(SECRET))),
    ]


def interrupted() -> list[str]:
    """Return the secret with invisible characters, which must not come to light when they are removed."""
    return [one.join(SECRET) for one in INVISIBLE]


def leaks(output: Mapping[str, bytes]) -> list[str]:
    """Return the places that contain the secret in any spelling."""
    return [where for where, data in output.items() if any(SECRET.lower() in text for text in _decoded(data))]


def _decoded(data: bytes) -> Iterator[str]:
    text = data.decode("utf-8", "replace").lower()
    for _ in range(ROUNDS):
        yield text
        text = html.unescape(unquote(ESCAPES.sub(_character, text))).lower()


def _character(found: "re.Match[str]") -> str:
    four, two, plain = found.groups()
    return plain or chr(int(four or two, 16))
