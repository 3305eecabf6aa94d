"""What groups have to do, from the lengths of queues that the snapshot shows."""

import pytest

from statemachine.core.server import LiveFigures
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.routing.wanted import HOLD_S, OBSERVED_S, RATE_SPAN_S
from statemachine.traffic.group_loads import MOST_EMPTY, GroupDemand, GroupLoads, least_cover
from tests.traffic.samples import NOW, view

Shown = tuple[int | None, str]


class Watched:
    """Servers of one group, and what is known of their demand at the time that a test sets."""

    def __init__(self, *names: str, discovered: bool = False) -> None:
        self.at = 1_000.0
        self.snapshot = Snapshot()
        for name in names:
            self.state(name, State.LOADED)
        self.loads = GroupLoads(self.snapshot, lambda: self.at, 30.0, is_discovered=lambda _: discovered)
        self.loads.demands()

    def state(self, name: str, state: State, queue: int | None = 0, reason: Reason = Reason.ALL_CACHED) -> None:
        self.snapshot.put(view(name, state, queue_remaining=queue)._replace(reason=reason))

    def queue(self, name: str, length: int | None, after_s: float = 0.0) -> None:
        self.at += after_s
        shown = self.snapshot.get(name)
        assert shown is not None
        self.snapshot.update(name, shown.state, shown.since, LiveFigures(None, length, NOW - 5))

    def demand(self) -> GroupDemand:
        (found,) = self.loads.demands()
        return found

    def shown(self) -> Shown:
        found = self.demand().wanted
        return found.count, found.reason.value

    def run_prompts(self, name: str, count: int, run_s: float, every_s: float) -> None:
        for _ in range(count):
            self.queue(name, 1)
            self.queue(name, 0, run_s)
            self.at += every_s - run_s


def test_demand_is_unknown_at_first_then_what_was_there_then_less() -> None:
    fleet = Watched("a", "b", "c")
    assert fleet.shown() == (None, "observing")
    fleet.at += OBSERVED_S
    assert fleet.shown() == (3, "recent")
    fleet.at += HOLD_S
    assert fleet.shown() == (1, "workflows")


def test_demand_learns_rate_and_run_time_from_queues() -> None:
    fleet = Watched("a", "b")
    for _ in range(40):
        fleet.run_prompts("a", 1, 20.0, 25.0)
        fleet.run_prompts("b", 1, 10.0, 25.0)
    found = fleet.demand()
    assert found.load.run_s == pytest.approx(15.0, abs=1.0)
    assert found.load.arrivals_per_s == pytest.approx(0.04, rel=0.1)
    assert found.wait_s == pytest.approx(1.5, abs=0.5)


def test_demand_grows_with_waiting_prompts_at_once() -> None:
    fleet = Watched("a")
    fleet.run_prompts("a", 40, 20.0, 60.0)
    fleet.at += HOLD_S
    fleet.queue("a", 0)
    assert fleet.shown()[0] == 1
    fleet.queue("a", 16)
    found = fleet.demand()
    assert (found.load.waiting, found.wanted.count, found.wanted.reason.value) == (15, 10, "waiting")


def test_own_warm_ups_and_own_loading_count_neither_as_arrivals_nor_runs() -> None:
    fleet = Watched("a")
    for state in (State.SUBMITTING, State.AUTO_EXECUTING):
        for _ in range(20):
            fleet.state("a", state, 0)
            fleet.queue("a", 1)
            fleet.queue("a", 0, 300.0)
            fleet.state("a", State.CHECKING, 0)
            fleet.state("a", State.LOADED, 0)
    assert fleet.demand().load.run_s is None
    assert fleet.demand().load.arrivals_per_s == 0.0


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.UNREACHABLE, Reason.NOT_ANSWERING),
        (State.UNKNOWN, Reason.SERVER_RESTARTED),
        (State.UNKNOWN, Reason.SERVER_RETURNED),
        (State.RESTARTING, Reason.ALL_CACHED),
    ],
)
def test_queue_that_is_lost_with_its_server_counts_as_no_run(state: State, reason: Reason) -> None:
    fleet = Watched("a")
    for _ in range(5):
        fleet.queue("a", 5)
        fleet.state("a", state, 0, reason)
        fleet.state("a", State.LOADED, 0)
        fleet.at += 100.0
    assert fleet.demand().load.run_s is None


def test_queue_that_is_cleared_at_once_counts_as_one_run() -> None:
    fleet = Watched("a")
    for _ in range(2):
        fleet.queue("a", 50)
        fleet.queue("a", 0, 10.0)
    assert fleet.demand().load.run_s is None


def test_broken_servers_are_not_counted_and_those_on_their_way_are() -> None:
    fleet = Watched("a", "b", "c", "d", "e")
    fleet.state("b", State.FAILED, None)
    fleet.state("c", State.PAUSED)
    fleet.state("d", State.WARMING)
    fleet.state("e", State.UNREACHABLE, None)
    found = fleet.demand()
    assert (found.servers, found.loaded) == (2, 1)


def test_unseen_queues_make_the_number_unknown() -> None:
    fleet = Watched("a", "b", "c")
    fleet.at += OBSERVED_S
    fleet.state("a", State.LOADED, None)
    assert fleet.shown()[0] == 3
    fleet.state("b", State.LOADED, None)
    assert fleet.shown() == (None, "queues_unseen")


def test_group_of_removed_servers_is_forgotten() -> None:
    fleet = Watched("a")
    fleet.snapshot.set_order([])
    assert fleet.loads.demands() == []


@pytest.mark.parametrize(
    ("workflows", "expected"),
    [
        ([], 1),
        ([()], 1),
        ([("a",), ("a",)], 1),
        ([("a",), ("b",)], 2),
        ([("a", "b"), ("a",), ("b",)], 1),
        ([("a", "b"), ("b", "c"), ("d",)], 3),
    ],
)
def test_least_cover_keeps_every_workflow(workflows: list[tuple[str, ...]], expected: int) -> None:
    assert least_cover(workflows) == expected


# Groups without servers.


def test_group_of_a_source_wants_a_server_before_it_has_any() -> None:
    at, snapshot = [0.0], Snapshot()
    loads = GroupLoads(snapshot, lambda: at[0], 30.0, lambda: {"gpu": [("portrait",), ("video",)]})
    for at[0] in (0.0, 3 * HOLD_S):
        (found,) = loads.demands()
        assert (found.group, found.servers, found.loaded, found.wait_s) == ("gpu", 0, 0, None)
        assert (found.wanted.count, found.wanted.reason.value) == (2, "workflows")
    snapshot.put(view("a", group="gpu", workflows=("portrait", "video"), queue_remaining=0))
    (found,) = loads.demands()
    assert (found.servers, found.load.least) == (1, 1)


def test_group_whose_servers_left_still_wants_what_it_needs() -> None:
    fleet = Watched("a", "b", discovered=True)
    fleet.run_prompts("a", 40, 20.0, 25.0)
    assert fleet.demand().load.run_s == pytest.approx(20.0)
    wanted = fleet.shown()[0]
    fleet.snapshot.set_order([])
    assert fleet.shown()[0] == wanted
    fleet.at += 20 * RATE_SPAN_S
    assert (fleet.shown(), fleet.demand().servers) == ((1, "workflows"), 0)


def test_group_that_was_never_observed_for_long_wants_a_server() -> None:
    fleet = Watched("a", discovered=True)
    assert fleet.shown() == (None, "observing")
    fleet.snapshot.set_order([])
    assert fleet.shown() == (1, "workflows")


def test_empty_groups_that_are_remembered_are_bounded() -> None:
    fleet = Watched(discovered=True)
    for number in range(2 * MOST_EMPTY):
        fleet.snapshot.put(view("a", group=f"g{number}"))
        fleet.snapshot.set_order(["a"])
    found = [one.group for one in fleet.loads.demands()]
    assert len(found) == MOST_EMPTY + 1
    assert f"g{2 * MOST_EMPTY - 1}" in found
    assert "g0" not in found
