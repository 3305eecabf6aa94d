"""The time limit of a warm-up in virtual time: only progress extends it, and only so far."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from itertools import count, cycle
from typing import Any

import pytest

from campaigns.simulation.loop import VirtualLoop
from statemachine.core import events
from statemachine.core.prompt_reducers import PROMPT_REDUCERS
from statemachine.core.server import Attempt, Server
from statemachine.core.vocabulary import Source
from statemachine.fleet.clock import loop_time
from statemachine.fleet.patience import MOST_EXTENDED, Patience

TIMEOUT_S = 10.0
NODES = 4


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run the test in a loop whose clock jumps."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(**arguments))

    return run


def progress(values: Iterator[float]) -> Iterator[events.Event]:
    return (events.PromptProgress("ours", value) for value in values)


TALK: dict[str, Callable[[], Iterator[events.Event]]] = {
    "the same figure": lambda: progress(cycle([1.0])),
    "back and forth": lambda: progress(cycle([0.5, 1.5, 1.0])),
    "a figure that falls": lambda: progress(3.0 - number / 1_000 for number in count()),
    "the same node": lambda: cycle([events.PromptNodeStarted("ours", "1")]),
    "two nodes in turn": lambda: (events.PromptNodeStarted("ours", str(number % 2)) for number in count()),
    "endless names": lambda: (events.PromptNodeStarted("ours", f"{number:0>1000}") for number in count()),
    "accepted again": lambda: (events.PromptAccepted("ours", f"id {n}", Source.WS) for n in count()),
    "nothing cached": lambda: cycle([events.PromptCached("ours", ())]),
    "a list that changes": lambda: cycle([events.PromptCached("ours", ("1",)), events.PromptCached("ours", ("2",))]),
    "another prompt": lambda: (events.PromptProgress("foreign", number) for number in count()),
}

WORK: dict[str, Callable[[], Iterator[events.Event]]] = {
    "a figure that rises": lambda: progress(number / 100 for number in count(1)),
    "a node after another": lambda: (events.PromptNodeStarted("ours", str(number)) for number in count()),
}


async def ended_after(talk: Iterator[events.Event]) -> float:
    """Return the seconds until the limit of a prompt with one such event a second is over."""
    server = Server("a")
    server.attempt = attempt = Attempt("a", "w", "ours", 0.0, server_prompt_id="ours", total_nodes=NODES)
    patience = Patience(attempt)
    while not patience.is_over(TIMEOUT_S):
        event = next(talk)
        PROMPT_REDUCERS[type(event)](event, server, loop_time())
        await asyncio.sleep(1.0)
    return loop_time()


@pytest.mark.parametrize("talk", TALK.values(), ids=TALK)
@in_virtual_time
async def test_patience_talk_does_not_extend_it(talk: Callable[[], Iterator[events.Event]]) -> None:
    assert await ended_after(talk()) <= TIMEOUT_S + 2.0


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
@in_virtual_time
async def test_patience_work_extends_it_within_bounds(work: Callable[[], Iterator[events.Event]]) -> None:
    assert await ended_after(work()) == pytest.approx(MOST_EXTENDED * TIMEOUT_S)
