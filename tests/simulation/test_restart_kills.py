"""The daemon is killed at each step of a restart in turn: its hook runs at most once, and no server is forgotten."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest

from statemachine.core.ports import Action
from statemachine.core.restart import RestartStage
from statemachine.core.vocabulary import State
from tests.simulation.restart_rig import Hook, RestartRig, run_story

INSTANT_S = 1e-5
"""Shorter than any step: a commit is in the middle of a write of 1 ms."""

LONG_S = 0.5
"""Between steps that are further apart the daemon is killed too."""

ASKED_AT_S = 10.0


async def restarted(rig: RestartRig) -> None:
    """Request a restart, and wait until it has ended."""
    await asyncio.sleep(ASKED_AT_S)
    await rig.ask(Action.RESTART)
    await rig.until(lambda view: view.restart is not None and not view.restart.is_open)


def moments(hook: Hook) -> list[float]:
    """Return the moments right before and after each step of a restart, and between steps that are far apart."""
    run_story(restarted, hook)
    steps = sorted({round(at, 6) for at in hook.moments if at > ASKED_AT_S})
    between = [(first + second) / 2 for first, second in pairwise(steps) if second - first > LONG_S]
    return sorted([*(at + shift for at in steps for shift in (-INSTANT_S, INSTANT_S)), *between])


def kill_at(at: float, hook: Hook, ends: Sequence[State]) -> RestartStage | None:
    """Run a restart whose daemon is killed at this time; return how the restart ended, None if it was never stored."""
    stages: list[RestartStage | None] = []

    async def story(rig: RestartRig) -> None:
        await asyncio.sleep(ASKED_AT_S)
        asked = asyncio.create_task(rig.ask(Action.RESTART))
        await asyncio.sleep(at - ASKED_AT_S)
        was_answered = asked.done()
        asked.cancel()
        await rig.crash(1.0)
        await rig.until(lambda view: view.state in ends and not (view.restart and view.restart.is_open))
        restart = rig.view.restart
        assert restart is not None or not was_answered, f"killed at {at}: the restart is forgotten"
        assert restart is None or restart.stage is RestartStage.SUCCEEDED or restart.message
        stages.append(restart.stage if restart is not None else None)

    run_story(story, hook)
    assert max(hook.runs.values(), default=0) <= 1, f"killed at {at}: the hook ran {hook.runs}"
    return stages[0]


def test_kill_at_each_step_neither_repeats_nor_forgets() -> None:
    points = moments(Hook())
    ends = [kill_at(at, Hook(), (State.LOADED, State.FAILED)) for at in points]
    assert len(points) > 20
    assert set(ends) <= {None, RestartStage.SUCCEEDED, RestartStage.FAILED}
    assert ends.count(RestartStage.SUCCEEDED) > len(ends) / 2


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "elsewhere"])
def test_kill_at_each_step_of_a_failing_hook(fails: bool) -> None:
    for at in moments(Hook(fails=fails, acts=False))[::2]:
        assert kill_at(at, Hook(fails=fails, acts=False), (State.LOADED, State.FAILED)) in (None, RestartStage.FAILED)
