"""The choice of a server by expected finish."""

import random

import pytest

from statemachine.routing.decision import Prospect, ServerCost
from statemachine.routing.fleet import SHOWN, RoutedFleet

A, B, C, E = (frozenset({name}) for name in "ABCE")
SDXL = frozenset({"base.safetensors", "vae.safetensors"})


def fleet_of(*names: str) -> RoutedFleet:
    fleet = RoutedFleet()
    for name in names:
        fleet.put(name, is_ready=True)
    return fleet


def run(fleet: RoutedFleet, server: str, models: frozenset[str], at: float, seconds: float = 10.0) -> float:
    """Run a prompt on an idle server; return when it ended."""
    fleet.sent(server, f"{server}-{at}", models, at)
    fleet.finished(server, f"{server}-{at}", at + seconds)
    return at + seconds


def chosen(fleet: RoutedFleet, models: frozenset[str] | None, at: float) -> ServerCost:
    decision = fleet.choose(models, at)
    assert decision is not None
    return decision.chosen


def test_choose_without_ready_server_is_none() -> None:
    fleet = fleet_of("a")
    fleet.put("a", is_ready=False)
    assert fleet.choose(A, 0.0) is None
    assert RoutedFleet().choose(None, 0.0) is None


def test_choose_never_returns_server_that_is_not_ready_or_allowed() -> None:
    fleet = fleet_of("warm", "other", "third")
    run(fleet, "warm", A, 0.0)
    assert chosen(fleet, A, 20.0).server == "warm"
    fleet.put("warm", is_ready=False)
    assert chosen(fleet, A, 20.0).server != "warm"
    decision = fleet.choose(A, 20.0, {"third", "unknown"})
    assert decision is not None
    assert (decision.chosen.server, decision.others) == ("third", ())


def test_choose_prefers_models_over_a_short_queue_and_not_at_any_price() -> None:
    fleet = fleet_of("cold", "warm")
    at = 0.0
    for _ in range(4):
        at = run(fleet, "warm", A, at)
    fleet.sent("warm", "1", A, at)
    assert chosen(fleet, A, at).prospect is Prospect.WARM_BUSY
    for number in range(2, 6):
        fleet.sent("warm", str(number), A, at)
    candidate = chosen(fleet, A, at)
    assert (candidate.server, candidate.prospect) == ("cold", Prospect.LOADS_IDLE)
    assert candidate.missing == candidate.unknown == ("A",)


def test_choose_among_equals_returns_server_that_used_models_last() -> None:
    fleet = fleet_of("a", "b", "c")
    for at, server in enumerate("abc"):
        run(fleet, server, A, 100.0 * at)
    assert chosen(fleet, A, 1_000.0).server == "c"
    run(fleet, "b", A, 1_000.0)
    assert [chosen(fleet, A, at).server for at in (2_000.0, 3_000.0)] == ["b", "b"]


def test_choose_pushes_out_what_was_unused_longest() -> None:
    fleet = fleet_of("a", "b")
    for at, (server, models) in enumerate([("a", A), ("b", B), ("b", C), ("a", E)]):
        run(fleet, server, models, 1000.0 * at)
    for _ in range(40):  # two sets fit
        fleet.retention.observe(1, 1.0)
        fleet.retention.observe(2, 0.0)
    assert chosen(fleet, frozenset("D"), 10_000.0).server == "a"


def test_choose_pays_for_the_last_copy_of_the_fleet() -> None:
    fleet = fleet_of("a", "b", "c")
    for _ in range(40):  # one set fits
        fleet.retention.observe(1, 0.0)
    for server, models in (("a", A), ("b", B), ("c", B)):
        run(fleet, server, models, 0.0)
    prices = {name: fleet.candidate(name, C, 10.0).price_s for name in "abc"}
    assert prices["a"] > prices["b"] == prices["c"] > 0
    assert chosen(fleet, C, 10.0).server in {"b", "c"}


def test_choose_for_unknown_models_takes_least_work() -> None:
    fleet = fleet_of("a", "b")
    fleet.sent("a", "1", None, 0.0)
    assert chosen(fleet, None, 1.0).server == "b"
    fleet.sent("b", "2", None, 1.0)
    fleet.sent("b", "3", None, 1.0)
    assert chosen(fleet, None, 2.0).server == "a"


def test_choose_names_only_the_models_that_are_missing() -> None:
    fleet = fleet_of("a")
    run(fleet, "a", frozenset({"base.safetensors"}), 0.0)
    candidate = chosen(fleet, SDXL, 20.0)
    assert (candidate.missing, candidate.prospect) == (("vae.safetensors",), Prospect.LOADS_IDLE)
    run(fleet, "a", SDXL, 20.0)
    assert chosen(fleet, SDXL, 40.0).wait_s == 0.0


def test_choose_returns_runners_up_best_first() -> None:
    fleet = fleet_of(*(f"s{number}" for number in range(9)))
    run(fleet, "s3", A, 0.0)
    decision = fleet.choose(A, 20.0)
    assert decision is not None
    costs = [one.cost_s for one in (decision.chosen, *decision.others)]
    assert len(decision.others) == SHOWN - 1
    assert costs == sorted(costs)
    assert len({one.server for one in decision.others} | {"s3"}) == SHOWN


def test_fleet_learns_loads_and_room_from_durations_alone() -> None:
    fleet, names, at = fleet_of("a"), [frozenset({f"m{number}"}) for number in range(30)], 0.0
    fleet.restarted("a", 0.0)
    held: list[frozenset[str]] = []
    chance = random.Random(1)
    for _ in range(3_000):
        models = names[min(int(chance.expovariate(0.4)), 29)]
        loads = 0.0 if models in held[:3] else 30.0
        held = [models, *(one for one in held if one != models)]
        at = run(fleet, "a", models, at, loads + chance.uniform(4, 40)) + 1.0
    assert fleet.holdings("a").retention.capacity == 3
    assert fleet.durations.load_s("m1") == pytest.approx(30.0, rel=0.4)
    assert fleet.durations.run_s(names[0]) == pytest.approx(22.0, rel=0.3)


def test_prompt_that_runs_longer_than_expected_counts_as_unfinished() -> None:
    fleet = fleet_of("a")
    at = run(fleet, "a", A, 0.0)
    fleet.sent("a", "long", A, at)
    works = [fleet.candidate("a", A, at + seconds).work_s for seconds in (0.0, 5.0, 1_000.0)]
    assert works[0] > works[1] > 0
    assert works[2] > 100


def test_prompt_that_ended_unstarted_leaves_no_trace() -> None:
    fleet = fleet_of("a")
    at = run(fleet, "a", A, 0.0)
    fleet.sent("a", "1", A, at)
    fleet.sent("a", "2", B, at)
    fleet.ended("a", "2", at + 1.0)
    fleet.ended("a", "1", at + 2.0)
    fleet.ended("a", "unknown", at + 2.0)
    candidate = fleet.candidate("a", A, at + 3.0)
    assert (candidate.work_s, candidate.missing) == (0.0, ())
    assert fleet.candidate("a", B, at + 3.0).unknown == ("B",)


def test_restarted_server_has_neither_prompts_nor_models() -> None:
    fleet = fleet_of("a")
    run(fleet, "a", A, 0.0)
    fleet.sent("a", "1", A, 20.0)
    fleet.restarted("a", 21.0)
    candidate = fleet.candidate("a", A, 22.0)
    assert (candidate.work_s, candidate.missing, candidate.unknown) == (0.0, ("A",), ())


def test_removed_server_is_forgotten() -> None:
    fleet = fleet_of("a", "b")
    run(fleet, "a", A, 0.0)
    fleet.remove("a")
    fleet.remove("a")
    assert chosen(fleet, A, 20.0).server == "b"


@pytest.mark.parametrize("seed", range(3))
def test_choose_is_as_good_as_looking_at_every_server(seed: int) -> None:
    chance, names = random.Random(seed), [f"s{number}" for number in range(60)]
    fleet, at = fleet_of(*names), 0.0
    fleet.report("s7", {"m1"}, {"m2"}, at)
    for number in range(600):
        at += chance.uniform(0.0, 2.0)
        models = frozenset({f"m{int(chance.expovariate(0.3)) % 40}"})
        best = min(fleet.candidate(name, models, at).cost_s for name in names)
        candidate = chosen(fleet, models, at)
        assert candidate.cost_s <= best + 1.0 + 0.1 * best
        fleet.sent(candidate.server, str(number), models, at)
        for name in names:
            jobs = list(fleet.jobs(name))
            if jobs and chance.random() < 0.1:
                fleet.finished(name, jobs[0].id, at)


def test_choose_is_deterministic() -> None:
    def walk() -> list[str]:
        fleet, chance = fleet_of(*(f"s{number}" for number in range(20))), random.Random(3)
        servers = []
        for number in range(300):
            models = frozenset({f"m{chance.randrange(9)}"})
            servers.append(chosen(fleet, models, float(number)).server)
            fleet.sent(servers[-1], str(number), models, float(number))
            if number > 9:
                fleet.finished(servers[number - 9], str(number - 9), float(number))
        return servers

    assert walk() == walk()
