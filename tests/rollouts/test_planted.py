"""Faults planted into the pure run: the rules of the model find each of them."""

import inspect
from random import Random
from types import ModuleType

import pytest

from statemachine.core import rollout_step
from tests.rollouts.model import RuleBrokenError, play

FAULTS = {
    "max_unavailable": ("others_away >= self._run", "others_away > self._run", "never more than max_unavailable"),
    "own_only": ("if one.name not in self._warm)", "if one.name in taken)", "never more than max_unavailable"),
    "take": ("            room.take(member.server)\n", "", "never more than max_unavailable"),
    "last_warm": ("<= is_warm for one", "< is_warm for one", "the last warm server stays"),
    "taken_workflows": ("            self._warm_for.subtract(set(seen.workflows))\n", "", "the last warm server stays"),
    "paused_run": ("if run.state is RunState.RUNNING:", "if run.is_going_on:", "only a running run restarts servers"),
    "abort": ("run.failures_in_a_row >= run", "run.failures_in_a_row > run", "failures in a row end the run"),
    "hook": ("if not seen.has_hook:", "if False:", "no server without a hook is asked for"),
    "held_back": ("_HELD_BACK.get(seen.state) or ", "", "no paused or unreachable server is asked for"),
    "other": (
        "if seen.restart is not None and seen.restart.is_open:",
        "if False:",
        "no server is asked for that another restart has",
    ),
}


def with_fault(name: str) -> ModuleType:
    source, (before, after, _) = inspect.getsource(rollout_step), FAULTS[name]
    assert source.count(before) == 1
    module = ModuleType(f"rollout_step_with_{name}")
    exec(compile(source.replace(before, after), module.__name__, "exec"), module.__dict__)
    return module


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
