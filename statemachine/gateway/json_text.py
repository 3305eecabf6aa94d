"""JSON of clients and servers, parsed and written again without loss.

Python's `json` writes NaN and lone surrogates, which orjson refuses; such texts take the slower way.
"""

import asyncio
import json
from typing import Any

import orjson

IN_THREAD_FROM = 256 * 1024
"""Bytes from which a text is parsed in a thread, to keep the event loop free."""


def loads(data: bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError, also for one that is nested too deeply."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return json.loads(data)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


async def loads_any(data: bytes) -> Any:
    """Return the value of a JSON text of any size."""
    return loads(data) if len(data) < IN_THREAD_FROM else await asyncio.to_thread(loads, data)


def dumps(value: Any) -> bytes:
    """Return the JSON text of a value. Raises RecursionError if it is nested too deeply."""
    try:
        return orjson.dumps(value)
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(value).encode()
