"""The study of routing: simulated servers, and the choice beside its baselines on a short synthetic trace."""

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.routing.policies import POLICIES, Learning, RoundRobin
from benchmarks.routing.servers import bound, replay
from benchmarks.routing.trace import Request, halves, read_trace, synthetic_trace

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


def test_replay_is_deterministic() -> None:
    runs = [replay(REQUESTS[:400], NAMES, Learning(NAMES), 2, 30.0).waits for _ in range(2)]
    assert runs[0] == runs[1]


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
