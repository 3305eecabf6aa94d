"""Requests that no honest client sends."""

from collections.abc import Iterator
from random import Random

from tests.web.site import COLD

WARM = f"/api/servers/{COLD}/warm"
CSS = "/static/base.css"


def head(target: str, *headers: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    """Return a request without a body that asks to close the connection."""
    lines = [f"{method} {target} {version}", "Host: 127.0.0.1", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


def posted(body: bytes, *headers: str) -> bytes:
    """Return an action with a body."""
    return head(WARM, f"Content-Length: {len(body)}", *headers, method="POST") + body


TARGETS = [
    "/static/%0AERROR forged",
    "/static/%0d%0a2026-01-01",
    "/static/" + "a" * 5_000,
    "/static/" + "a/" * 2_500,
    "/static/%00",
    "/static/../../etc/passwd",
    "/static/%2e%2e/%2e%2e/page.py",
    "/static/",
    "/static",
    "/static/ui",
    "/static/%ff",
    "/static//etc/passwd",
    "/?a=%0d%0a",
    "/?a=%0d%0aSet-Cookie:%20x",
    "/?" + "%0a" * 800,
    "/?%ff=%fe",
    "http://[::1/",
    "http://xn--/",
    "http://a:99999999/",
    "http://\u2100.example/",
    "http://",
    "//a//b",
    "*",
    "/%",
    "/%zz",
    "/%ed%a0%80",
    "/\udcff",
    "/;%0a",
    "/\\..\\",
    "/ /x",
    "/\x1b[31m",
    "/api/servers/%0A%1b[31m/ready",
    "/api/servers/" + "x" * 7_000,
    "/api/servers/%ff/ready",
    "/api/servers/a%2fb",
    "/api/groups/%0a/warm",
    "/api/events?since=%0a",
    "/api/events?since=" + "9" * 4_000,
    "/api/events?since=%c2%b2",
    "/api/log?limit=%d9%a1",
    "/api/log?server=%ff&group=%00&state=x%0a&before=1e9",
    "/api/log?reason=%0a%1b" + "x" * 3_000,
    "/api/log?server=%ed%a0%80",
    "/api/log?" + "server=a&" * 800,
    "/api/stats?from=%0a&to=nan",
    "/api/stats?window=1e308",
    "/api/stats?group=%ff%0a",
    "/status?lang=%0a%ff",
    "/metrics?name[]=%0a",
    "/" + "a" * 20_000,
]
HEADERS = [
    "Last-Event-ID: \x01",
    "Last-Event-ID: \xb2",
    "Last-Event-ID: " + "9" * 4_000,
    "Accept-Language: en;q=nan,zh;q=1e999,\xff;q=",
    "Accept-Language: " + "a;q=0.1," * 900,
    "Origin: http://[",
    "Origin: \xff",
    "Origin: http://" + "a" * 7_000,
    "Origin: http://\u2100.example",
    "Sec-Fetch-Site: \x7f\xff",
    "Cookie: " + "a=b;" * 1_500,
    'Cookie: \xff=\xfe; $Version=1; a="\\"',
    "Accept-Encoding: \xff;q=x, gzip",
    "Accept: application/openmetrics-text; version=\xff",
    "Expect: 100-continue",
    "Accept: application/openmetrics-text; version=1.0.0; escaping=\x01",
    "Accept: text/plain; version=9.9.9rc",
    "Accept: " + "*/*;q=0.1," * 600,
    "Expect: \xff" + "x" * 500,
    "Authorization: \xff\xfe",
    "Authorization: Bearer " + "x" * 7_000,
    "Host: \xff\x1b[31m",
    "Host: [",
    "Host: [v1.a]:0",
    "Host: 127.0.0.1:999999",
    "Host: \u2100",
    "X: " + "y" * 20_000,
    "X: a\r\n folded",
    "Content-Length: 1\r\nContent-Length: 2",
    "Transfer-Encoding: chunked, x",
    "Content-Length: -1",
    "Content-Encoding: gzip",
    "Upgrade: h2c",
    "Upgrade: websocket\r\nSec-WebSocket-Key: x",
    "\r\n".join(f"X{n}: y" for n in range(2_000)),
]
OF_FILES = [
    "Range: bytes=9999999999999999999999-",
    "Range: bytes=-",
    "Range: x\xff",
    "Range: bytes=0-1,2-3",
    "Range: bytes=--5",
    "Range: bytes=\u0661-",
    'If-None-Match: "\xff',
    "If-None-Match: W/",
    'If-Match: "a',
    "If-Modified-Since: Sun, 99 Foo 99999 99:99:99 GMT",
    "If-Modified-Since: Mon, 01 Jan 0000 00:00:00 +9999",
    "If-Unmodified-Since: 1 Jan 99999999999",
    "Range: bytes=0-1\r\nIf-Range: \xff",
    "Range: bytes=0-1\r\nIf-Range: Mon, 01 Jan 10000 00:00:00 GMT",
]
BODIES = [
    posted(b"[" * 200_000, "Content-Type: application/json; charset=\xff"),
    posted(b"\xff\xfe{", "Content-Type: application/json"),
    posted(b"abcd", "Content-Encoding: gzip"),
    posted(b"abcd", "Content-Encoding: deflate"),
    posted(b"abcd", "Content-Encoding: \xff"),
    posted(b"abcd", "Content-Type: multipart/form-data"),
    posted(b"x" * 3_000_000),
    head(WARM, "Transfer-Encoding: chunked", method="POST") + b"zz\r\n",
    head(WARM, "Transfer-Encoding: chunked", method="POST") + b"F" * 30 + b"\r\n",
    head(WARM, "Content-Length: 99999999999999999999999", method="POST"),
    head("/status", "Content-Encoding: deflate", "Content-Length: 4") + b"abcd",
]
OTHERS = [
    head("/api/status", method="FOO\x1b"),
    head("/api/status", method="A" * 300),
    head(CSS, method="A" * 300),
    head("/\x01%0a", method="DELETE"),
    head("a:1", method="CONNECT"),
    head("[::1", method="CONNECT"),
    head("/", version="HTTP/2.0"),
    head("/", version="HTTP/9.9"),
    head("/", version="HTTP/1.\xff"),
    b"GET /\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00",
    b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03" + b"\x00" * 300,
    bytes(range(256)) * 20,
    b"SSH-2.0-x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /x\n\nGET /",
    b"\r\n" * 50,
    b"\x00" * 70_000,
    head("/healthz").replace(b"close", b"keep-alive") * 3 + b"\x00\xff\r\n\r\n",
]
REQUESTS = [
    *(head(target) for target in TARGETS),
    *(head(target, method="POST") for target in TARGETS),
    *(head(path, header) for header in HEADERS for path in ("/", "/metrics", "/api/events?since=x")),
    *(head(WARM, header, "Content-Length: 0", method="POST") for header in HEADERS),
    *(head(CSS, header) for header in OF_FILES),
    *BODIES,
    *OTHERS,
]


def mutated(count: int) -> Iterator[bytes]:
    """Yield requests with some bytes replaced."""
    random = Random(15)
    for _ in range(count):
        request = bytearray(random.choice(REQUESTS)[:2_000])
        for _ in range(random.randint(1, 6)):
            request[random.randrange(len(request))] = random.randrange(256)
        yield bytes(request) + b"\r\n\r\n"
