"""The rules of simulated restarts: what each of them takes for a violation, and what it does not."""

from collections.abc import Callable
from pkgutil import resolve_name

import pytest

from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.plans import PAGING, Plan
from campaigns.simulation.replies import read_reply
from campaigns.simulation.restart_faults import RESTART_FAULTS
from campaigns.simulation.restart_rules import RestartRules, SavedRestart
from campaigns.simulation.restart_times import Moment
from statemachine.comfyui.transport import Reply
from statemachine.core.restart import RestartCause, RestartStage
from statemachine.core.vocabulary import State
from statemachine.settings.restarts import RestartSettings

SETTINGS = RestartSettings(command=("restart",), min_pause="1m", max_per_day=2, hook_timeout_s=30, return_timeout_s=60)
FIRST = SavedRestart("a", "1", RestartCause.AGE, RestartStage.HOOK, 0.0, 5.0)
ENDED = FIRST._replace(stage=RestartStage.SUCCEEDED, ended_at=100.0)
RETURNED = FIRST._replace(stage=RestartStage.RETURNED)
NEXT = SavedRestart("a", "2", RestartCause.MEMORY, RestartStage.DRAINING, 161.0)

Steps = Callable[[RestartRules], None]


def violations(*steps: Steps) -> list[str]:
    """Return the beginning of each violation that the steps cause."""
    found: list[str] = []
    rules = RestartRules(SETTINGS, 400.0, lambda _, what: found.append(what.partition(":")[0]))
    for step in steps:
        step(rules)
    return found


def stored(restart: SavedRestart, ahead_s: float = 0.0) -> Steps:
    """Store the restart when it ended, or else was requested, by a wall clock that is ahead by `ahead_s`."""
    wall = restart.ended_at or restart.requested_at
    return lambda rules: rules.stored(restart, Moment(wall - ahead_s, wall))


def runs(restart: SavedRestart, wall: float = 0.0) -> Steps:
    return lambda rules: rules.hook_began(restart.server, restart.id, restart.cause, Moment(wall, wall))


def ends(restart: SavedRestart) -> Steps:
    return lambda rules: rules.hook_ended(restart.server, restart.id)


def starts(state: State, *, is_new: bool = True) -> Steps:
    return lambda rules: rules.server_started("a", state, Moment(0.0, 0.0), is_new=is_new)


def reads(at: float, wall: float) -> Steps:
    return lambda rules: rules.server_started("a", State.UNKNOWN, Moment(at, wall), is_new=True)


def hook_of(number: int, wall: float, cause: RestartCause = RestartCause.AGE) -> list[Steps]:
    one = FIRST._replace(id=str(number), cause=cause, requested_at=1e5 * number)
    return [stored(one), runs(one, wall), ends(one)]


CRASH: Steps = RestartRules.daemon_ended
RUN = [stored(FIRST), runs(FIRST)]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (RUN, []),
        ([runs(FIRST)], ["hook unrecorded"]),
        ([*RUN, ends(FIRST), runs(FIRST)], ["hook repeated"]),
        ([*RUN, CRASH, runs(FIRST)], ["hook repeated"]),
        ([*RUN, stored(NEXT._replace(stage=RestartStage.HOOK)), runs(NEXT)], ["two hooks"]),
        ([*RUN, ends(FIRST), stored(ENDED), stored(NEXT._replace(stage=RestartStage.HOOK)), runs(NEXT)], []),
        ([stored(FIRST._replace(cause=RestartCause.OPERATOR)), runs(FIRST._replace(cause=RestartCause.OPERATOR))],
         ["hook unasked"]),
        ([stored(ENDED), stored(NEXT._replace(requested_at=150.0))], ["no pause"]),
        ([stored(ENDED), stored(NEXT._replace(requested_at=3700.0), ahead_s=3600.0)], ["no pause"]),
        ([stored(ENDED), stored(NEXT._replace(requested_at=-3439.0), ahead_s=-3600.0)], []),
        ([stored(ENDED), reads(110.0, 170.0), stored(NEXT._replace(requested_at=175.0), ahead_s=60.0)], []),
        ([stored(ENDED), reads(110.0, 120.0), stored(NEXT._replace(requested_at=155.0), ahead_s=10.0)], ["no pause"]),
        ([stored(ENDED), reads(110.0, 60.0), stored(NEXT._replace(requested_at=115.0), ahead_s=-50.0)], ["no pause"]),
        ([stored(ENDED), reads(110.0, 60.0), stored(NEXT._replace(requested_at=121.0), ahead_s=-50.0)], []),
        ([stored(ENDED), stored(NEXT._replace(requested_at=150.0, cause=RestartCause.OPERATOR))], []),
        ([stored(ENDED._replace(hook_started_at=None)), stored(NEXT)], ["no pause"]),
        ([stored(FIRST), stored(NEXT._replace(server="b"))], ["together"]),
        ([stored(FIRST), stored(NEXT._replace(server="b", cause=RestartCause.STUCK))], []),
        ([stored(FIRST), lambda rules: rules.reloaded(["b"], ["a"]), stored(NEXT._replace(server="b"))], []),
        ([*hook_of(1, 0.0), *hook_of(2, 9e4), *hook_of(3, 1e5)], []),
        ([*hook_of(1, 0.0), *hook_of(2, 4e4), *hook_of(3, 8e4)], ["too many restarts"]),
        ([*hook_of(1, 0.0), *hook_of(2, 4e4), *hook_of(3, 8e4, RestartCause.ROLLOUT)], []),
        ([stored(FIRST), starts(State.RESTARTING)], []),
        ([stored(FIRST), starts(State.DRAINING)], ["restart forgotten"]),
        ([stored(FIRST), starts(State.UNKNOWN)], ["restart forgotten"]),
        ([stored(FIRST), starts(State.UNKNOWN, is_new=False)], []),
        ([stored(FIRST), starts(State.PAUSED)], []),
        ([stored(ENDED), starts(State.UNKNOWN)], []),
        ([starts(State.RESTARTING), lambda rules: rules.check_bounds(270.0)], []),
        ([starts(State.RESTARTING), lambda rules: rules.check_bounds(271.0)], ["endless restart"]),
        ([starts(State.RESTARTING), CRASH, lambda rules: rules.check_bounds(271.0)], []),
        ([stored(RETURNED), lambda rules: rules.check_bounds(580.0)], []),
        ([stored(RETURNED), lambda rules: rules.check_bounds(581.0)], ["endless restart"]),
        ([stored(RETURNED), stored(ENDED), lambda rules: rules.check_bounds(591.0)], []),
        ([stored(FIRST), lambda rules: rules.check_end("a", State.LOADED)], ["restart forgotten"]),
        ([lambda rules: rules.check_end("a", State.DRAINING)], ["restart forgotten"]),
        ([stored(ENDED), lambda rules: rules.check_end("a", State.LOADED)], []),
    ],
)  # fmt: skip
def test_rules_of_restarts_find_the_violations(steps: list[Steps], expected: list[str]) -> None:
    assert violations(*steps) == expected


@pytest.mark.parametrize(("was_bare", "is_missing"), [(True, True), (False, False)])
async def test_history_check_counts_on_server_whose_plugins_came_back(was_bare: bool, is_missing: bool) -> None:
    """A daemon that checked by history while the plug-ins were away may do so until its connection is back."""
    plan = Plan("127.0.0.1", 8188, PAGING, ("cache_models",), 0.0, was_bare=was_bare)
    ledger = ServerLedger(plan, wire=None)  # type: ignore[arg-type]
    read_reply(ledger, "/history?max_items=2", Reply(200, b"{}"), genuine=True, ticket=1, tick=7)
    assert (ledger.missing == 7) is is_missing


@pytest.mark.parametrize("target", [target for fault in RESTART_FAULTS for target in fault.patches])
def test_planted_fault_replaces_what_exists(target: str) -> None:
    assert resolve_name(target) is not None
