"""Faults planted into the pure run: the rules of the model find each of them."""

import inspect
from random import Random
from types import ModuleType

import pytest

from statemachine.core import rollout_room, rollout_step
from tests.rollouts.model import RuleBrokenError, play

FAULTS = {
    "max_unavailable": ("others_away >= self._run", "others_away > self._run", "never more than max_unavailable"),
    "own_only": ("if one.name not in self._warm)", "if one.name in taken)", "never more than max_unavailable"),
    "take": ("now))\n            room.take(member.server)\n", "now))\n", "never more than max_unavailable"),
    "last_warm": ("<= is_warm for one", "< is_warm for one", "the last warm server stays"),
    "taken_workflows": ("            self._warm_for.subtract(set(seen.workflows))\n", "", "the last warm server stays"),
    "paused_run": ("if run.state is RunState.RUNNING:", "if run.is_going_on:", "only a running run restarts servers"),
    "abort": ("run.failures_in_a_row >= run", "run.failures_in_a_row > run", "failures in a row end the run"),
    "stopped": (
        "run.state is RunState.RUNNING and room.obstacle",
        "room.obstacle",
        "only a running run asks for restarts",
    ),
    "no_look": ("room.obstacle(member) is None\n", "True\n", "no request without room"),
    "asked_free": (
        "free={one.server for one in unseen} - set(asked)",
        "free={one.server for one in unseen}",
        "no request without room",
    ),
    "untaken": (
        "            room.take(member.server)\n    return found",
        "            pass\n    return found",
        "no request without room",
    ),
    "hook": ("if not seen.has_hook:", "if False:", "no server without a hook is asked for"),
    "held_back": ("HELD_BACK.get(seen.state) or ", "", "no paused or unreachable server is asked for"),
    "other": (
        "if seen.restart is not None and seen.restart.is_open:",
        "if False:",
        "no server is asked for that another restart has",
    ),
}


def _copy_of(module: ModuleType, source: str) -> ModuleType:
    copy = ModuleType(f"{module.__name__}_with_a_fault")
    exec(compile(source, copy.__name__, "exec"), copy.__dict__)
    return copy


def with_fault(name: str) -> ModuleType:
    """Return a copy of `rollout_step` with the fault, which may be one of its copy of `rollout_room`."""
    before, after, _ = FAULTS[name]
    room, step = inspect.getsource(rollout_room), inspect.getsource(rollout_step)
    assert (room + step).count(before) == 1
    copy = _copy_of(rollout_step, step.replace(before, after))
    faulty_room = _copy_of(rollout_room, room.replace(before, after))
    copy.__dict__.update({key: value for key, value in vars(faulty_room).items() if key in vars(copy)})
    return copy


@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_breaks_its_rule(name: str) -> None:
    module = with_fault(name)
    found: set[str] = set()
    for seed in range(1_500):
        try:
            play(module, Random(seed))
        except RuleBrokenError as error:
            found.add(str(error))
            if FAULTS[name][2] in found:
                return
    pytest.fail(f"not found; others: {found}")
