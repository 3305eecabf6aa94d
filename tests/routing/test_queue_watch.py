"""Prompts that are followed by the lengths of queues alone."""

from statemachine.routing.fleet import RoutedFleet
from statemachine.routing.queue_watch import MAX_JOBS, PICK_LIFETIME_S, QueueWatch

A, B = frozenset("A"), frozenset("B")


def watched(*names: str) -> tuple[RoutedFleet, QueueWatch]:
    fleet = RoutedFleet()
    for name in names:
        fleet.put(name, is_ready=True)
    return fleet, QueueWatch(fleet)


def run(watch: QueueWatch, name: str, models: frozenset[str], at: float, seconds: float) -> float:
    """Pick a server, let the prompt arrive and end; return when."""
    watch.picked(name, models, at)
    watch.seen(name, 1, at)
    watch.seen(name, 0, at + seconds)
    return at + seconds


def test_watch_picks_are_spread_before_they_arrive() -> None:
    fleet, watch = watched("a", "b")
    names = []
    for _ in range(4):
        decision = fleet.choose(None, 0.0)
        assert decision is not None
        names.append(decision.chosen.server)
        watch.picked(names[-1], None, 0.0)
    assert sorted(names) == ["a", "a", "b", "b"]


def test_watch_learns_run_times_from_lengths() -> None:
    fleet, watch = watched("a")
    at = 0.0
    for _ in range(50):
        at = run(watch, "a", A, at, 7.0)
    assert abs(fleet.durations.run_s(A) - 7.0) < 1.5
    assert fleet.candidate("a", A, at).wait_s == 0.0


def test_watch_pick_that_never_arrives_is_dropped() -> None:
    fleet, watch = watched("a", "b")
    watch.picked("a", A, 0.0)
    watch.expire(PICK_LIFETIME_S / 2)
    assert len(fleet.jobs("a")) == 1
    watch.expire(PICK_LIFETIME_S)
    assert len(fleet.jobs("a")) == 0


def test_watch_arrived_prompt_outlives_the_pick() -> None:
    fleet, watch = watched("a")
    watch.picked("a", A, 0.0)
    watch.seen("a", 1, 1.0)
    watch.expire(100.0)
    assert [job.models for job in fleet.jobs("a")] == [A]


def test_watch_prompts_of_others_count_as_unknown_work() -> None:
    fleet, watch = watched("a", "b")
    watch.seen("a", 2, 0.0)
    assert [job.models for job in fleet.jobs("a")] == [None, None]
    decision = fleet.choose(None, 0.0)
    assert decision is not None
    assert decision.chosen.server == "b"
    watch.seen("a", 0, 5.0)
    assert len(fleet.jobs("a")) == 0


def test_watch_restart_empties_the_queue() -> None:
    fleet, watch = watched("a")
    watch.picked("a", A, 0.0)
    watch.seen("a", 1, 0.0)
    watch.restarted("a", 1.0)
    assert len(fleet.jobs("a")) == 0
    watch.seen("a", 1, 2.0)
    assert [job.models for job in fleet.jobs("a")] == [None]


def test_watch_hostile_lengths_are_bounded() -> None:
    fleet, watch = watched("a")
    watch.seen("a", 10**12, 0.0)
    for _ in range(10):
        watch.picked("a", A, 0.0)
    assert len(fleet.jobs("a")) == MAX_JOBS
    watch.seen("a", 3, 1.0)
    assert len(fleet.jobs("a")) == 0
    watch.seen("a", 0, 2.0)
    watch.seen("a", 1, 3.0)
    assert len(fleet.jobs("a")) == 1
