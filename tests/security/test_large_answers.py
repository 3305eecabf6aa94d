"""Answers of 60 MB: no turn of the event loop is long, memory is bounded, and small answers do not wait."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from pydantic import SecretStr

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import ComfyError, NotUnderstoodError
from statemachine.comfyui.large_answers import LARGE_AT_ONCE, LargeAnswers
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.preflight import run_preflight
from statemachine.comfyui.workflow import parse_workflow
from statemachine.core import events
from statemachine.core.messages import Message
from statemachine.i18n.render import render
from tests.comfyui_client.fakes import marker_of, workflow
from tests.faults.harness import Memory
from tests.security.loop_turns import LoopTurns
from tests.support.large_answers import large_answers
from tests.support.polling import wait_until

MIB = 2**20
LONGEST_TURN_S = 0.05
MOST_MEMORY = 64 * MIB
TIMEOUT_S = 40.0
KEYED = workflow("keyed", "k1", "k2")
LORA = parse_workflow(
    "lora", b'{"1": {"class_type": "LoraStacker", "inputs": {"lora_0": "a.safetensors", "a": "a.safetensors"}}}'
)

SECRETS = {"Authorization": SecretStr("Bearer of-a-long-secret")}

Ask = Callable[[ComfyClient], Awaitable[Message]]
"""Sends the request and returns what is known of its answer."""


async def ask_queue(client: ComfyClient) -> Message:
    listing = await client.queue()
    return Message("", text=f"{len(listing.items)} prompts, {listing.unreadable} unreadable")


async def ask_history(client: ComfyClient) -> Message:
    return Message("", text=f"{len(await client.newest_history(300))} entries")


async def ask_prompt(client: ComfyClient) -> Message:
    return Message("", text=f"{await client.queue_remaining()} prompts")


async def ask_system(client: ComfyClient) -> Message:
    return Message("", text=f"version {await client.version()}")


async def ask_replacements(client: ComfyClient) -> Message:
    return Message("", text=f"{len(await client.node_replacements())} classes")


async def submit(client: ComfyClient) -> Message:
    await client.submit({}, marker_of(KEYED), None, front=False)
    raise AssertionError


async def ask_classes(client: ComfyClient) -> Message:
    result = await run_preflight(client, LORA)
    return (*(one.message for one in result.unexamined), *result.messages)[0]


def check(kind: str) -> Ask:
    async def ask(client: ComfyClient) -> Message:
        result = await CacheCheck(client, (kind,), "/cache/check", [KEYED]).ask(0)
        assert isinstance(result.event, events.CheckUnusable)
        assert 0 < len(result.raw) <= 2_000
        return result.event.message

    return ask


TOO_LARGE = "is larger than"
CASES: list[tuple[Ask, str, str]] = [
    (ask_queue, "busy-queue", "300 prompts, 0 unreadable"),
    (ask_queue, "lists", TOO_LARGE),
    (ask_queue, "texts", "unexpected end"),
    (ask_queue, "brackets", TOO_LARGE),
    (ask_queue, "not-json", TOO_LARGE),
    (ask_queue, "nodes", "0 prompts, 30 unreadable"),
    (ask_history, "busy-history", "301 entries"),
    (ask_history, "objects", TOO_LARGE),
    (ask_history, "keys", TOO_LARGE),
    (ask_history, "escapes", "unexpected end"),
    (ask_prompt, "objects", TOO_LARGE),
    (ask_system, "objects", TOO_LARGE),
    (ask_replacements, "keys", TOO_LARGE),
    (submit, "objects", TOO_LARGE),
    (ask_classes, "options", "not a description"),
    (ask_classes, "loras", "a.safetensors"),
    (ask_classes, "all-classes", "LoraStacker"),
    (check("text"), "words", TOO_LARGE),
    (check("node"), "objects", TOO_LARGE),
    (check("inspire"), "lines", TOO_LARGE),
    (check("history"), "objects", TOO_LARGE),
    (check("text"), "gzip", TOO_LARGE),
]


@asynccontextmanager
async def clients(url: str, *kinds: str, large: LargeAnswers | None = None) -> AsyncIterator[list[ComfyClient]]:
    """Yield clients of servers with answers of these kinds, which share the places of large answers."""
    large = large or LargeAnswers()
    async with new_session() as session:
        yield [
            ComfyClient(NetworkTransport(session, f"{url}/{kind}", SECRETS, lambda: TIMEOUT_S, large=large))
            for kind in kinds
        ]


async def outcome_of(ask: Ask, client: ComfyClient) -> str:
    """Return what is known of the answer, or the error."""
    try:
        return render(await ask(client), "en")
    except ComfyError as error:
        return str(error)


@pytest.mark.parametrize(("ask", "kind", "expected"), CASES, ids=[f"{ask.__name__}-{kind}" for ask, kind, _ in CASES])
async def test_large_answer_is_handled_in_short_turns(ask: Ask, kind: str, expected: str) -> None:
    async with large_answers() as url, clients(url, kind) as (client,):
        gc.collect()
        began = time.thread_time()
        with Memory() as memory:
            async with LoopTurns() as turns:
                outcome = await outcome_of(ask, client)
        print(
            f"longest turn {turns.longest_s * 1000:.0f} ms, {time.thread_time() - began:.1f} s in all, "
            f"{memory.growth / MIB:.0f} MiB more, {outcome[:120]}"
        )
    assert expected in outcome
    assert turns.longest_s < LONGEST_TURN_S
    assert memory.growth < MOST_MEMORY


def test_memory_that_grows_is_measured() -> None:
    with Memory() as memory:
        block = bytearray(2 * MOST_MEMORY)
    assert memory.growth > MOST_MEMORY
    assert block


async def test_thirty_large_answers_at_once_are_bounded() -> None:
    kinds = [*["busy-queue"] * 3, *["lists", "brackets", "not-json"] * 8, *["numbers"] * 3]
    async with large_answers() as url, clients(url, *kinds) as several:
        gc.collect()
        with Memory() as memory:
            async with LoopTurns() as turns:
                outcomes = await asyncio.gather(*(outcome_of(ask_queue, client) for client in several))
        print(f"longest turn {turns.longest_s * 1000:.0f} ms, {memory.growth / MIB:.0f} MiB more")
    assert outcomes[:3] == ["300 prompts, 0 unreadable"] * 3
    assert turns.longest_s < LONGEST_TURN_S
    assert memory.growth < 3 * MOST_MEMORY


async def test_small_answers_do_not_wait_for_large_ones() -> None:
    """Large answers that never end hold every place."""
    large, kinds = LargeAnswers(), ["small", *["stalled"] * LARGE_AT_ONCE]
    async with large_answers() as url, clients(url, *kinds, large=large) as (small, *others):
        tasks = [asyncio.create_task(outcome_of(ask_history, client)) for client in others]
        await wait_until(lambda: large.are_many)
        for _ in range(20):
            assert await small.queue_remaining() == 1
        assert not any(task.done() for task in tasks)
        for task in tasks:
            task.cancel()


async def test_slow_large_answers_make_way_for_others() -> None:
    """Three times as many as there are places never end; each is dropped for the next, and for the honest one."""
    large, kinds = LargeAnswers(), ["busy-history", *["stalled"] * 3 * LARGE_AT_ONCE]
    async with large_answers() as url, clients(url, *kinds, large=large) as (honest, *others):
        tasks = [asyncio.create_task(outcome_of(ask_history, client)) for client in others]
        await wait_until(lambda: large.are_many)
        assert await outcome_of(ask_history, honest) == "301 entries"
        dropped = [task.result() for task in tasks if task.done()]
        assert len(dropped) >= LARGE_AT_ONCE
        assert all("GET /history is large and came slowly" in outcome for outcome in dropped)
        for task in tasks:
            task.cancel()


async def test_large_answer_without_a_place_is_not_understood() -> None:
    large = LargeAnswers()
    async with large_answers() as url, new_session() as session, AsyncExitStack() as stack:
        for _ in range(LARGE_AT_ONCE):
            await stack.enter_async_context(large.place())
        client = ComfyClient(NetworkTransport(session, f"{url}/stalled", {}, lambda: 0.3, large=large))
        with pytest.raises(NotUnderstoodError, match="GET /history is large and was not read in time"):
            await client.newest_history(2)
