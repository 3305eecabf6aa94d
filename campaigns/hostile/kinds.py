"""The kinds of hostile servers: what each answers instead of an honest server's answers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from campaigns.hostile import bodies, sockets
from campaigns.hostile.secrets import echoes, interrupted
from statemachine.simulator import PROFILES, Profile
from statemachine.simulator.profiles import Failure
from tests.faults.proxy import Responder, Responders
from tests.faults.responses import hang, respond_with, write_bytes

JSON, TEXT = bodies.JSON, "text/plain"
LOADED, COLD, NODE, INSPIRE = (PROFILES[name] for name in ("loaded", "cold", "node", "inspire"))
ENDLESS = replace(COLD, load_seconds=1e9)
ERROR = "CUDA error " * 2_000_000
"""About 20 MB."""
CONTROL = "".join(map(chr, range(1, 32))) + "\x7f\x85\x9b31m\u2028\u2029\u202e\u2066\u200b\ufeff\ud800"
CHUNKED = bodies.OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED = b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n"
PACKED = bodies.OK_HEAD + b"Content-Encoding: deflate\r\n\r\n\x78\x9c"
NOTHING = b"\0\0\0\xff\xff"
"""A block of packed data without content."""
CHECKS = ("GET /cache/check", "GET /inspire/cache/list")


@dataclass(frozen=True)
class Kind:
    """A simulated server of `profile` with other responders. `check`: the settings' kind of cache check."""

    profile: Profile
    responders: Responders = field(default_factory=dict)
    copies: int = 1
    check: str = "auto"


def _ws(responder: Responder, profile: Profile = LOADED) -> Kind:
    return Kind(profile, {"GET /ws": responder})


def _all(responder: Responder, copies: int = 1) -> Kind:
    return Kind(LOADED, {"*": responder}, copies)


def _json(value: object, status: int = 200) -> Responder:
    return respond_with(json.dumps(value), status, JSON)


def _refusal(text: str) -> Responder:
    error = {"type": "x", "message": text, "details": "", "extra_info": {}}
    return _json({"error": {**error, "message": ""}, "node_errors": {"1": {"class_type": "A", "errors": [error]}}}, 400)


def _history(text: str) -> Failure:
    return Failure("RuntimeError", text)


def _instance(answer: Any, rng: Random) -> Any:
    return {**answer, "instance": f"{rng.getrandbits(128):032x}", "sequence": rng.getrandbits(40)}


def _names(answer: Any, rng: Random) -> Any:
    names = [{"name": f"model-{rng.getrandbits(64)}", "bytes": 1} for _ in range(5000)]
    extra = {f"member-{rng.getrandbits(64)}": 1 for _ in range(5000)}
    return {**_instance(answer, rng), **extra, "held": {"vram": names, "ram": names}}


def _counting(count: str) -> Responder:
    return respond_with(f'{{"exec_info": {{"queue_remaining": {count}}}}}', content_type=JSON)


_FOREIGN = [7, "another-servers-prompt", {}, {"comfywarm": {"workflow": "cache_models"}}, []]
_TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28" * 50
_ECHO = "you sent " + " and ".join([*echoes(), *interrupted()])
_BIG_NODE = '{"comfywarm": 1, "instance": "i", "sequence": 1, "loading": false, "auto_started": false, '
_ENTRY = '"p%d": {"prompt": [1, "p", {}, {}, []], "outputs": {}, "status": {"completed": true, "messages": []}}'
_QUEUE = '{"queue_running": [], "queue_pending": ['
_LIST = "---- [String Key Caches] ----\n"
_QUEUE_OF_OTHERS = {"queue_running": [_FOREIGN], "queue_pending": [_FOREIGN] * 50}
_COUNTS = ("-5", "1" + "0" * 400, "NaN", "1e999", '"many"', "null")

BODIES: Mapping[str, Kind] = {
    "endless": Kind(LOADED, {"GET /cache/check": bodies.endless(b"x")}),
    "endless-json": Kind(COLD, {"GET /queue": bodies.endless(b'[["a", {}], ', JSON)}),
    "large-queue": Kind(
        COLD, {"GET /queue": bodies.large(_QUEUE, '[%d, "p", {}, {}, []]', "]}")}
    ),
    "large-object-info": Kind(
        COLD,
        {"GET /object_info*": bodies.large('{"CLASS": {"input": {"required": {"model": [[', '"a/%d.bin"', "]]}}}}")},
    ),
    "large-history": Kind(COLD, {"GET /history*": bodies.large("{", _ENTRY, "}")}, check="history"),
    "large-system": Kind(LOADED, {"GET /system_stats": bodies.large('{"system": {}, "devices": [', "{}", "]}")}),
    "large-text-check": Kind(COLD, {"GET /cache/check": bodies.large("未查询到缓存", "k%d", "。", content_type=TEXT)}),
    "large-json-check": Kind(
        COLD, {"GET /cache/check": bodies.large(_BIG_NODE + '"keys": {"missing": [], "present": [', '"k%d"', "]}}")}
    ),
    "large-held": Kind(
        COLD, {"GET /cache/check": bodies.large(_BIG_NODE + '"held": {"vram": [', '{"name": "m%d", "bytes": 1}', "]}}")}
    ),
    "large-list": Kind(
        INSPIRE,
        {"GET /inspire/cache/list": bodies.large(_LIST, "k%d: t\n", "\n", content_type=TEXT)},
    ),
    "many-items": Kind(COLD, {"GET /queue": bodies.large(_QUEUE, "[]", "]}", bodies.MIB)}),
    "nested": Kind(COLD, {"GET /queue": bodies.nested(), "GET /history*": bodies.nested()}),
    "gzip-bomb": Kind(COLD, {"GET /cache/check": bodies.gzip_bomb(), "GET /queue": bodies.gzip_bomb()}),
    "interim": _all(bodies.endless_bytes(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "empty-lines": _all(bodies.endless_bytes(b"", b"\r\n")),
    "chunk-sizes": _all(bodies.endless_bytes(CHUNKED, b"0")),
    "packed-nothing": _all(bodies.endless_bytes(PACKED, NOTHING)),
    "escapes-check": Kind(COLD, dict.fromkeys(CHECKS, respond_with("%25" * 80_000))),
    "slow-body": _all(bodies.slowly(bodies.OK_HEAD + b"\r\n", b"x" * 1000)),
    "slow-headers": _all(bodies.slowly(bodies.OK_HEAD + b"X-A: b\r\n" * 100)),
    "huge-header": _all(bodies.huge_header()),
    "many-headers": _all(bodies.many_headers()),
    "cut-off": _all(bodies.cut_off),
    "redirecting": _all(bodies.redirect_to_itself),
    "html": _all(respond_with("<html><body>Sign in</body></html>" * 1000, content_type="text/html")),
    "tls-garbage": _all(write_bytes(_TLS_ALERT)),
    "silent": _all(hang, copies=20),
    "slow": _all(bodies.delayed(2.4), copies=50),
}  # fmt: skip
SOCKETS: Mapping[str, Kind] = {
    "ws-large-texts": _ws(sockets.sending(sockets.FLOOD_OF_LARGE_TEXTS)),
    "ws-flood-of-texts": _ws(sockets.sending(sockets.FLOOD_OF_TEXTS)),
    "ws-flood-of-previews": _ws(sockets.sending(sockets.FLOOD_OF_PREVIEWS)),
    "ws-flood-of-pings": _ws(sockets.sending(sockets.FLOOD_OF_PINGS)),
    "escapes-frames": _ws(sockets.sending(sockets.FLOOD_OF_ESCAPES)),
    "chunked-refusal": _ws(bodies.endless_bytes(REFUSED, b"1\r\nx\r\n")),
    "ws-endless-message": _ws(sockets.sending(sockets.endless_message)),
    "ws-accept-and-close": _ws(sockets.accept_and_close),
    "ws-silent": _ws(sockets.silent),
    "ws-numbers": _ws(sockets.sending(sockets.numbers, 0.01)),
    "ws-new-names": _ws(sockets.sending(sockets.new_names, 0.01), NODE),
    "flipping": _ws(sockets.sending(sockets.flips, 0.05), NODE),
}
PROMPTS: Mapping[str, Kind] = {
    "progress-without-end": Kind(ENDLESS, {"GET /ws": sockets.sending(sockets.progress_of_ours, 1.0)}, 8),
    "never-running": Kind(replace(COLD, stall_after_models=1)),
    "dying": Kind(PROFILES["dying"]),
    "refusing-at-length": Kind(COLD, {"POST /prompt": _refusal(ERROR)}),
    "failing-at-length": Kind(replace(COLD, failure=_history(ERROR))),
    "long-prompt-id": Kind(COLD, {"POST /prompt": _json({"prompt_id": ERROR, "number": 1, "node_errors": {}})}),
    "echoing": Kind(
        replace(COLD, failure=_history(_ECHO)), {"GET /system_stats": _json({"system": {"os": _ECHO}, "devices": []})}
    ),
    "echoing-refusal": Kind(COLD, {"POST /prompt": _refusal(_ECHO)}),
    "echoing-check": Kind(COLD, dict.fromkeys(CHECKS, respond_with(_ECHO))),
    "control-characters": Kind(
        replace(COLD, failure=_history(CONTROL)), {"GET /system_stats": _json({"system": {"os": CONTROL}})}
    ),
    "control-check": Kind(COLD, dict.fromkeys(CHECKS, respond_with(CONTROL.encode("utf-8", "surrogatepass")))),
    "others-prompts": Kind(COLD, {"GET /queue": _json(_QUEUE_OF_OTHERS)}),
    "absurd-counts": Kind(COLD, {"GET /prompt": bodies.in_turn(*map(_counting, _COUNTS))}),
    "changing-instance": Kind(NODE, {"GET /cache/check": bodies.changed(_instance)}),
    "changing-names": Kind(NODE, {"GET /cache/check": bodies.changed(_names)}),
    "rate-limiting": Kind(COLD, {"GET /cache/check": respond_with(status=429, Retry_After="9" * 4000)}),
}  # fmt: skip
KINDS: Mapping[str, Kind] = {**BODIES, **SOCKETS, **PROMPTS}
