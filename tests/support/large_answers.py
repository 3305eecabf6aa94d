"""A server, in a process of its own, that answers every request of `/KIND/…` with about 60 MB of that kind.

`python -m tests.support.large_answers` prints its port.
"""

import asyncio
import json
import sys
import zlib
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

from tests.support.paths import REPOSITORY

SIZE = 60 * 2**20
BLOCK = 256 * 1024
IMAGE = "A" * 150_000
"""An inlined image, as base64."""


def prompt(number: int) -> list[object]:
    """Return a prompt of a busy queue, with an inlined image and the workflow in UI format."""
    nodes = {f"{at}": {"class_type": "KSampler", "inputs": {"seed": at, "model": ["4", 0]}} for at in range(40)}
    loader = {"class_type": "LoadImageBase64", "inputs": {"image": IMAGE}}
    cache = {"class_type": "CacheBackendData //Inspire", "inputs": {"key": f"k{number}", "tag": "t", "data": ["1", 0]}}
    ui_nodes = [{"id": at, "pos": [1, 2], "inputs": [{"link": 1}], "widgets_values": ["a, b", 1]} for at in range(40)]
    extra_data = {"client_id": "c", "extra_pnginfo": {"workflow": {"nodes": ui_nodes}}}
    return [number, f"id-{number}", {**nodes, "load": loader, "cache": cache}, extra_data, ["9"]]


def ended(number: int) -> dict[str, object]:
    """Return the history's entry of such a prompt."""
    messages = [["execution_start", {"prompt_id": f"id-{number}"}], ["execution_success", {}]]
    status = {"status_str": "success", "completed": True, "messages": messages}
    return {"prompt": prompt(number), "outputs": {"9": {"images": []}}, "status": status}


def _queue(entries: Iterator[bytes]) -> Iterator[bytes]:
    first = next(entries)
    yield b'{"queue_running": [' + first + b'], "queue_pending": ['
    yield from (entry if at == 0 else b", " + entry for at, entry in enumerate(entries))
    yield b"]}"


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()


def _members(pairs: Iterator[tuple[str, object]]) -> Iterator[bytes]:
    yield b'{"": {}'
    yield from (b", " + _dump(name) + b": " + _dump(value) for name, value in pairs)
    yield b"}"


def _repeated(start: bytes, part: bytes) -> Iterator[bytes]:
    block = part * (BLOCK // len(part))
    return chain([start], repeat(block, SIZE // len(block)))


LORAS = [f"style/{number:05}_some_long_name_of_a_model.safetensors" for number in range(1_000)]
CACHE_NODES = _dump([0, "x", {str(at): {"class_type": "CacheBackendData //Inspire"} for at in range(33_000)}, {}])


def body(kind: str) -> Iterator[bytes]:
    """Return the blocks of a body of this kind."""
    return {
        "busy-queue": lambda: _queue(map(_dump, map(prompt, range(300)))),
        "busy-history": lambda: _members((f"id-{number}", ended(number)) for number in range(300)),
        "lists": lambda: _repeated(b'{"queue_running":[], "queue_pending":[', b"[],"),
        "objects": lambda: _repeated(b'{"a":[', b'{"a":{}},'),
        "keys": lambda: _members((f"k{number}", {}) for number in range(SIZE // 20)),
        "texts": lambda: _repeated(b'{"a":{"b":["', b'","'),
        "numbers": lambda: _repeated(b'{"a":{"b":[', b"1,"),
        "brackets": lambda: _repeated(b"", b"["),
        "escapes": lambda: _repeated(b'{"a":{"b":"', b'\\"'),
        "not-json": lambda: _repeated(b"[[NaN,", b'"\\ud800",{},'),
        "nodes": lambda: _queue(repeat(CACHE_NODES, 30)),
        "lines": lambda: _repeated(b"---- [String Key Caches] ----\n", b"a\n"),
        "words": lambda: _repeated("未查询到缓存".encode(), b"k,"),
        "all-classes": lambda: _members((f"class-{number}", lora_class(20)) for number in range(40)),
        "loras": lambda: _members(("LoraStacker", lora_class(50)) for _ in range(1)),
        "options": lambda: _members(("LoraStacker", {"input": {"required": {"a": [LORAS * 1_000]}}}) for _ in "a"),
        "stalled": lambda: iter([b'{"a":{"b":"' + bytes(2 * BLOCK)]),
        "small": lambda: iter([b'{"exec_info": {"queue_remaining": 1}}']),
        "gzip": lambda: iter([zlib.compress(bytes(2 * SIZE), 9, 31)]),
    }[kind]()


def lora_class(inputs: int) -> dict[str, object]:
    """Return the description of a class that lists the same files for many inputs."""
    return {"input": {"required": {f"lora_{number}": [LORAS, {}] for number in range(inputs)}}, "output_node": True}


COUNTED = frozenset({"busy-queue", "lists", "texts", "brackets", "not-json", "nodes", "small", "stalled", "numbers"})
"""Kinds of queues, whose server counts its prompts in a small answer."""


async def _answer(reader: StreamReader, writer: StreamWriter) -> None:
    request = await reader.readuntil(b"\r\n\r\n")
    _, kind, route = request.split(b" HTTP", 1)[0].decode().split("/", 2)
    counts = route == "prompt" and kind in COUNTED
    encoding = b"Content-Encoding: gzip\r\n" if kind == "gzip" else b""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + encoding + b"\r\n")
    try:
        for block in body("small" if counts else kind):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass  # the client has closed the connection
    if kind == "stalled" and not counts:
        await reader.read()  # until the client closes
    writer.close()


async def _serve() -> None:
    async with await asyncio.start_server(_answer, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


@asynccontextmanager
async def large_answers() -> AsyncIterator[str]:
    """Run the server within the block and yield its URL, to which `/KIND` is added."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.large_answers", stdin=PIPE, stdout=PIPE, cwd=REPOSITORY
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(_serve())
