"""The study of routing: simulated servers, and the choice beside its baselines on a short synthetic trace."""

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.routing.policies import POLICIES, Learning, RoundRobin
from benchmarks.routing.report import BASELINE, BOUND, OURS, Row, distance
from benchmarks.routing.servers import bound, replay
from benchmarks.routing.trace import Request, halves, read_trace, synthetic_trace
from benchmarks.routing.variants import PATIENCE_S, WARM_UP_GPU_S_PER_HOUR, DecidingLate, WarmingAhead

REQUESTS = synthetic_trace(requests=1_500)
NAMES = [f"s{number}" for number in range(8)]


def test_replay_counts_loads_and_waits() -> None:
    requests = [Request(0.0, "a", 10.0), Request(5.0, "a", 10.0), Request(100.0, "b", 1.0), Request(200.0, "a", 1.0)]
    result = replay(requests, ["s"], RoundRobin(["s"]), room=1, load_s=30.0)
    assert (result.waits, result.cold, result.gpu_s) == ([30.0, 35.0, 30.0, 30.0], 3, 112.0)
    assert (result.quantile_s(0.5), result.quantile_s(0.99)) == (30.0, 35.0)


def test_bound_evicts_what_is_needed_last() -> None:
    requests = [Request(float(at), model, 1.0) for at, model in enumerate("abcab")]
    assert bound(requests, 2) == pytest.approx(4 / 5)
    assert bound(requests, 3) == pytest.approx(3 / 5)


def test_choice_beats_baselines_and_not_the_bound() -> None:
    results = {name: replay(REQUESTS, NAMES, build(NAMES), 2, 30.0) for name, build in POLICIES.items()}
    ours = results.pop("comfywarm")
    assert all(ours.mean_s < 0.8 * other.mean_s for other in results.values())
    unaware = [results[name] for name in ("round robin", "random", "shortest queue")]
    assert all(ours.cold_share < 0.5 * other.cold_share for other in unaware)
    assert ours.cold_share >= bound(REQUESTS, 16)


@pytest.mark.parametrize("policy", [Learning, DecidingLate, WarmingAhead])
def test_replay_is_deterministic(policy: type[Learning]) -> None:
    runs = [replay(REQUESTS[:400], NAMES, policy(NAMES), 2, 30.0).waits for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 400


def test_request_decided_late_waits_for_the_better_server() -> None:
    requests = [Request(at, "a", 10.0) for at in (0.0, 100.0, 200.0, 300.0, 400.0, 401.0)]
    late = replay(requests, ["s", "t"], DecidingLate(["s", "t"]), room=1, load_s=30.0)
    assert (late.waits, late.cold) == ([30.0, 0.0, 0.0, 0.0, 0.0, 9.0], 1)


def test_request_is_held_no_longer_than_patience() -> None:
    policy = DecidingLate(["s"])
    policy.fleet.sent("s", "stuck", None, 0.0)
    policy.choose(Request(0.0, "a", 1.0))
    assert list(policy.held(PATIENCE_S - 1.0)) == []
    assert [job.id for job in policy.fleet.jobs("s")] == ["stuck"]
    assert list(policy.held(PATIENCE_S)) == [(0, "s")]
    assert list(policy.held(PATIENCE_S + 2.0)) == []


def test_warm_ups_load_what_no_server_has_within_their_bound() -> None:
    ahead = replay(REQUESTS, NAMES[:2], WarmingAhead(NAMES[:2]), 2, 30.0)
    plain = replay(REQUESTS, NAMES[:2], Learning(NAMES[:2]), 2, 30.0)
    hours = (REQUESTS[-1].at_s - REQUESTS[0].at_s) / 3600
    runs_s = sum(request.run_s for request in REQUESTS)
    warmed_s = ahead.gpu_s - runs_s - 30.0 * ahead.cold
    assert 0.0 < warmed_s <= (hours + 1) * WARM_UP_GPU_S_PER_HOUR
    assert plain.gpu_s == pytest.approx(runs_s + 30.0 * plain.cold)


def test_distance_states_how_near_the_bound_is() -> None:
    rows = [Row("all", 8, policy, share) for policy, share in ((BASELINE, 0.5), (OURS, 0.2), (BOUND, 0.1))]
    assert distance(rows) == (
        "8 servers: 20.00% cold requests are 10.00% above the bound of 10.00%, "
        "75.0% of the way to it from the shortest queue."
    )


def test_synthetic_trace_has_the_published_statistics() -> None:
    requests = synthetic_trace(requests=10_000)
    shares = sorted((sum(one.model == f"M{model:04}" for one in requests) for model in range(6)), reverse=True)
    gaps = [after.at_s - before.at_s for before, after in pairwise(requests)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert [one / 10_000 for one in shares[:2]] == pytest.approx([0.31, 0.15], rel=0.2)
    assert mean == pytest.approx(87, rel=0.3)
    assert deviation / mean > 3


def test_read_trace_sorts_and_halves_by_time(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("at_s,model,run_s,loras\n50,b,2,0\n0,a,1,1\n100,c,3,0\n")
    requests = read_trace(tmp_path / "trace.csv")
    assert [one.model for one in requests] == ["a", "b", "c"]
    assert [len(half) for half in halves(requests)] == [1, 2]
