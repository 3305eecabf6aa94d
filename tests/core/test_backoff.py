"""Backoff, spread and the budget of warm-ups."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.core.backoff import Budget, backoff, spread

UNIFORM = st.floats(0, 1, exclude_max=True)
SECONDS = st.floats(0.01, 1e6)


@given(tries=st.integers(0, 10_000), base_s=SECONDS, limit_s=SECONDS, uniform=UNIFORM)
def test_backoff_stays_in_upper_half_of_ceiling(tries: int, base_s: float, limit_s: float, uniform: float) -> None:
    ceiling = min(limit_s, base_s * 2.0 ** min(tries, 32))
    assert ceiling / 2 <= backoff(tries, base_s, limit_s, lambda: uniform) <= ceiling


def test_backoff_doubles_up_to_limit() -> None:
    waits = [backoff(tries, 1.0, 10.0, lambda: 0.0) for tries in range(6)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@given(tries=st.integers(0, 40), uniform=UNIFORM)
def test_backoff_never_shrinks_with_more_failures(tries: int, uniform: float) -> None:
    assert backoff(tries, 0.25, 300, lambda: uniform) <= backoff(tries + 1, 0.25, 300, lambda: uniform)


@given(interval_s=SECONDS, uniform=UNIFORM)
def test_spread_stays_within_ten_percent(interval_s: float, uniform: float) -> None:
    assert 0.9 * interval_s * 0.999 <= spread(interval_s, lambda: uniform) <= 1.1 * interval_s * 1.001


Step = tuple[str, str]
HOSTS = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "c1": "c"}
STEPS = st.lists(st.tuples(st.sampled_from(["take", "give"]), st.sampled_from(sorted(HOSTS))), max_size=40)


@given(steps=STEPS, total=st.integers(1, 5), per_host=st.integers(1, 3))
def test_budget_counts_each_server_once_within_limits(steps: list[Step], total: int, per_host: int) -> None:
    budget, holders = Budget(total, per_host), set[str]()
    for step, server in steps:
        host = HOSTS[server]
        if step == "give":
            assert budget.release(server) is (server in holders)
            holders.discard(server)
        elif budget.has_room(host):
            budget.take(server, host)
            holders.add(server)
        here = sum(HOSTS[one] == host for one in holders)
        assert len(budget) == len(holders) <= total
        assert budget.has_room(host) is (len(holders) < total and here < per_host)
        assert (server in budget) is (server in holders)
        assert set(budget._hosts) == {HOSTS[one] for one in holders}  # hosts come and go, so none may stay


def test_budget_counts_in_flight_servers_beyond_limits() -> None:
    budget = Budget(1, 1)
    budget.take("a1", "a")
    budget.take("a2", "a")
    assert len(budget) == 2
    budget.release("a1")
    assert not budget.has_room("a")
    budget.release("a2")
    assert budget.has_room("a")


@dataclass(frozen=True)
class Waiting:
    """A server that waits for a permit."""

    host: str
    group: str


@pytest.mark.parametrize("shared", ["host", "group"])
def test_budget_half_held_by_one_lets_others_go_first(shared: str) -> None:
    def of_many(number: int) -> Waiting:
        return Waiting("h", f"g{number}") if shared == "host" else Waiting(f"h{number}", "g")

    budget, other = Budget(4, 4), Waiting("other", "other")
    for number in range(2):
        budget.take(f"s{number}", of_many(number).host, of_many(number).group)
    more = [of_many(2), of_many(3)]
    assert budget.next_of([*more, other]) is other
    assert budget.next_of(more) is more[0], "a full share when no other server waits"
    budget.release("s0")
    assert budget.next_of([*more, other]) is more[0], "first come, first served below the half"
