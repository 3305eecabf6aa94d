"""What the gateway adds to POST /prompt, and how fast files pass through it.

Client, gateway and servers are processes of their own. The servers answer at once.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from benchmarks.clients import requests_per_s
from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import baseline, gateway

SERVERS = 3
SAMPLES = 300
PAUSE_S = 0.004
"""Between two prompts: the first one has ended by then."""
LIMIT_MS = 2.0
FILE_MB = 32
SECONDS = 6.0
TIMEOUT_S = 60.0
MS = 1_000
SAMPLER_NODES = 40
"""About 6 KiB of JSON, as large as a graph of a user."""

ADDED = Figure(
    "gateway_prompt", "Time that the gateway adds to POST /prompt beside direct ones, 3 servers, median", "ms",
    "a limit of 2 ms", 1.0, "lower",
)  # fmt: skip
ADDED_CHOSEN = Figure(
    "gateway_prompt_id", "The same with a prompt_id that the client chose, which is looked up first", "ms",
    "a limit of 4 ms", 1.0, "lower",
)  # fmt: skip
VIEW = Figure(
    "gateway_view", f"GET /view of {FILE_MB} MB through the gateway", "MB/s",
    "a proxy that is written with aiohttp alone", 0.8, "higher",
)  # fmt: skip


@asynccontextmanager
async def _servers(count: int) -> AsyncIterator[list[str]]:
    """Run servers whose prompts have all written the same file; yield their URLs."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="comfywarm-bench-"))
        file = _large_file(Path(folder))
        children = [await stack.enter_async_context(baseline("comfyui", {"file": str(file)})) for _ in range(count)]
        yield [f"http://127.0.0.1:{(await child.read_line())['port']}" for child in children]


def _large_file(folder: Path) -> Path:
    file = folder / "big.bin"
    with file.open("wb") as content:
        content.truncate(FILE_MB * 10**6)
    return file


def graph(seed: int) -> dict[str, Any]:
    """Return a graph of a usual size."""
    inputs = {"model": ["1", 0], "positive": ["2", 0], "steps": 20, "cfg": 7.5, "sampler_name": "euler", "seed": seed}
    nodes = {str(number): {"class_type": "KSampler", "inputs": inputs} for number in range(2, SAMPLER_NODES)}
    return {"1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sdxl.safetensors"}}, **nodes}


async def _post_ms(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> tuple[float, str]:
    """Post a prompt; return the milliseconds until its answer, and its id."""
    began = time.perf_counter()
    async with session.post(f"{url}/prompt", json=body) as response:
        answer = await response.json()
        took_ms = (time.perf_counter() - began) * MS
    assert response.status == 200, answer  # noqa: S101, PLR2004
    await asyncio.sleep(PAUSE_S)
    return took_ms, answer["prompt_id"]


async def _added(_: Options) -> Measured:
    """Post prompts directly and through the gateway in turn."""
    async with _servers(SERVERS) as urls, gateway(urls) as ours, aiohttp.ClientSession() as session:
        direct, through, chosen = list[float](), list[float](), list[float]()
        for number in range(SAMPLES):
            direct.append((await _post_ms(session, urls[number % SERVERS], {"prompt": graph(number)}))[0])
            through.append((await _post_ms(session, ours.url, {"prompt": graph(number)}))[0])
            body = {"prompt": graph(number), "prompt_id": str(uuid4())}
            chosen.append((await _post_ms(session, ours.url, body))[0])
    usual = statistics.median(direct)
    return {ADDED.id: statistics.median(through) - usual, ADDED_CHOSEN.id: statistics.median(chosen) - usual}


async def _limit(_: Options) -> Measured:
    return {ADDED.id: LIMIT_MS, ADDED_CHOSEN.id: 2 * LIMIT_MS}


async def _view_path(session: aiohttp.ClientSession, url: str) -> str:
    """Run a prompt through the gateway; return the path of its file."""
    _, prompt_id = await _post_ms(session, url, {"prompt": graph(0)})
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            path = f"/view?filename=big.bin&subfolder={prompt_id}&type=output"
            async with session.head(url + path) as response:
                if response.ok:
                    return path
            await asyncio.sleep(PAUSE_S)


async def _through_gateway(_: Options) -> Measured:
    async with _servers(1) as urls, gateway(urls) as ours:
        async with aiohttp.ClientSession() as session:
            path = await _view_path(session, ours.url)
        return {VIEW.id: FILE_MB * await requests_per_s(1, ours.host, ours.port, SECONDS, path)}


async def _through_proxy(_: Options) -> Measured:
    async with _servers(1) as urls, baseline("proxy", {"url": urls[0]}) as child:
        port = (await child.read_line())["port"]
        path = "/view?filename=big.bin&subfolder=&type=output"
        return {VIEW.id: FILE_MB * await requests_per_s(1, "127.0.0.1", port, SECONDS, path)}


PROMPT_CASE = Case((ADDED, ADDED_CHOSEN), _added, _limit)
VIEW_CASE = Case((VIEW,), _through_gateway, _through_proxy)
