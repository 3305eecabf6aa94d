"""The first check after a warm-up's success: the history comes later, and a contradiction is confirmed."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from typing_extensions import override

from campaigns.simulation.loop import VirtualLoop
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.records import HistoryEntry
from statemachine.core import events as e
from statemachine.core.server import Attempt, Server
from statemachine.core.vocabulary import Source
from statemachine.fleet.after_success import LATEST_PROMPTS, CheckEvent, confirmed, wait_for_history
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.simulator import PROFILES, running_fleet
from tests.comfyui_client.fakes import (
    FakeTransport,
    Replies,
    Scripted,
    history_entry,
    history_of,
    json_reply,
    marker_of,
    queue_entry,
    text_reply,
    workflow,
)
from tests.fleet.event_recorder import daemon

W = workflow("w", "k1")
OURS = "/history/theirs"
NEWEST = f"/history?max_items={LATEST_PROMPTS}"
IDLE, BUSY = (json_reply({"exec_info": {"queue_remaining": count}}) for count in (0, 1))
THERE = json_reply(history_of(W, "theirs"))
MISSING = e.CheckAnswered("history", ("k1",), ("w",), auto_executing=False, epoch=0)
CACHED = e.CheckAnswered("history", (), (), auto_executing=False, epoch=0)


def context_of(
    replies: Replies,
    *,
    proved_by: Source = Source.WS,
    reads_history: bool = True,
    judged: bool = False,
    client: type[ComfyClient] = ComfyClient,
) -> tuple[ServerContext, list[str]]:
    """Return the context of a server on which our prompt, `theirs` there, has succeeded, and its requests."""
    transport = FakeTransport(replies)
    attempt = Attempt("a", "w", "ours", 0.0, server_prompt_id="theirs", confirmed_by=proved_by, judged=judged)
    check = SimpleNamespace(reads_history=reads_history)
    context = SimpleNamespace(server=Server("a", succeeded=attempt), client=client(transport), check=check)
    return cast(ServerContext, context), transport.requests


def duration(work: Coroutine[Any, Any, object]) -> float:
    """Run in virtual time and return how long it takes."""

    async def timed() -> float:
        started = loop_time()
        await work
        return loop_time() - started

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(timed())


def test_wait_for_history_ends_when_the_entry_is_there() -> None:
    later: list[Scripted] = [json_reply({}), NotAnsweringError("timed out"), json_reply({}), THERE]
    context, requests = context_of({OURS: later})
    assert 0.1 < duration(wait_for_history(context)) < 0.2
    assert requests == [OURS] * 4


@pytest.mark.parametrize("answer", [json_reply({}), json_reply([])])
def test_wait_for_history_is_bounded(answer: Scripted) -> None:
    context, requests = context_of({OURS: answer})
    assert 3.0 < duration(wait_for_history(context)) <= 5.0
    assert len(requests) < 15


class Hanging(ComfyClient):
    """Answer no request for a prompt's history within the time of a request."""

    @override
    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        await asyncio.sleep(10.0)
        raise NotAnsweringError("no answer in 10 s")


def test_wait_for_history_that_hangs_is_bounded() -> None:
    context, _ = context_of({}, client=Hanging)
    assert duration(wait_for_history(context)) == 5.0


@pytest.mark.parametrize("answer", [text_reply("no", 404), text_reply("no", 403)])
def test_wait_for_history_of_server_without_it_ends_at_once(answer: Scripted) -> None:
    context, requests = context_of({OURS: answer})
    assert duration(wait_for_history(context)) == 0.0
    assert requests.count(OURS) == 1


@pytest.mark.parametrize("known", [{"proved_by": Source.HISTORY}, {"reads_history": False}, {"judged": True}])
def test_wait_for_history_without_need_asks_nothing(known: dict[str, Any]) -> None:
    context, requests = context_of({}, **known)
    assert duration(wait_for_history(context)) == 0.0
    assert requests == []


def answers(*given: CheckEvent | None) -> tuple[Callable[[], Awaitable[CheckEvent | None]], list[CheckEvent | None]]:
    """Return a check that gives these answers, and the list of those that are left."""
    left = list(given)

    async def ask() -> CheckEvent | None:
        return left.pop(0)

    return ask, left


@pytest.mark.parametrize("second", [CACHED, None])
def test_confirmed_contradiction_is_asked_again(second: CheckEvent | None) -> None:
    context, _ = context_of({})
    ask, left = answers(second)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(confirmed(context, MISSING, ask)) == second
    assert left == []


@pytest.mark.parametrize(("reads_history", "pause_s"), [(True, 5.0), (False, 0.3)])
def test_confirmed_contradiction_of_a_history_may_be_cached(*, reads_history: bool, pause_s: float) -> None:
    """A gateway that caches /history answers with the entries of some seconds ago."""
    context, _ = context_of({}, reads_history=reads_history)
    ask, _ = answers(CACHED)
    assert duration(confirmed(context, MISSING, ask)) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("event", "judged"),
    [
        (CACHED, False),
        (MISSING, True),
        (replace(MISSING, auto_executing=True), False),
        (replace(MISSING, needed=("other",)), False),
    ],
)
def test_confirmed_other_answers_are_not_asked_again(event: CheckEvent, *, judged: bool) -> None:
    context, _ = context_of({}, judged=judged)
    ask, left = answers(None)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(confirmed(context, event, ask)) == event
    assert left == [None]


def history(*prompt_ids: str) -> Scripted:
    """Return the newest entries, oldest first; `theirs` is ours."""
    entries = {
        one: history_entry(queue_entry(one, {}, marker_of(W, "another")) if one == "marked" else queue_entry(one))
        for one in prompt_ids
    }
    return json_reply(entries)


@pytest.mark.parametrize(
    ("newest", "evicted"),
    [
        (history("x", "theirs"), False),
        (history("theirs", "x"), True),
        (history("theirs", "marked"), True),
        (history("x"), False),
        (history(), False),
        (history(*map(str, range(LATEST_PROMPTS))), True),
        (text_reply("no", 404), False),
    ],
)
def test_confirmed_missing_after_foreign_work_is_an_eviction(newest: Scripted, *, evicted: bool) -> None:
    context, _ = context_of({NEWEST: newest, "/prompt": IDLE, "/queue": running()})
    ask, _ = answers(MISSING)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(confirmed(context, MISSING, ask)) == replace(MISSING, evicted=evicted)


def running(*prompt_ids: str) -> Scripted:
    return json_reply({"queue_running": [queue_entry(one) for one in prompt_ids], "queue_pending": []})


@pytest.mark.parametrize(
    ("queue", "count", "evicted"),
    [
        (running("x"), BUSY, True),
        (running(), BUSY, True),
        (running("theirs"), BUSY, False),
        (running(), IDLE, False),
        (text_reply("no", 500), BUSY, False),
    ],
    ids=["foreign", "hidden", "ours", "idle", "unknown"],
)
def test_confirmed_missing_while_foreign_work_runs_is_an_eviction(
    queue: Scripted, count: Scripted, *, evicted: bool
) -> None:
    context, _ = context_of({NEWEST: history("theirs"), "/prompt": count, "/queue": queue})
    ask, _ = answers(MISSING)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(confirmed(context, MISSING, ask)) == replace(MISSING, evicted=evicted)


async def test_history_that_lags_causes_no_second_warm_up(tmp_path: Path) -> None:
    stock = replace(PROFILES["stock"], missing_classes=frozenset(), load_seconds=0.02, history_lag=0.4)
    async with running_fleet([stock]) as fleet, daemon(tmp_path, fleet.urls) as recorder:
        (server,) = fleet.servers
        await recorder.reached("loaded")
        detail = await recorder.detail(fleet.members[0].name)
    assert detail["check"]["kind"] == "history"
    assert len(server.log) == 1
