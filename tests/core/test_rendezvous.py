"""Servers are shared out evenly, and only what must move moves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.rendezvous import chosen

NAMES = st.text(min_size=1, max_size=12)
NODES = st.lists(NAMES, min_size=1, max_size=8, unique=True)


@given(NAMES, NODES)
def test_every_node_works_out_the_same(key: str, nodes: list[str]) -> None:
    assert chosen(key, nodes) == chosen(key, sorted(nodes)) == chosen(key, frozenset(nodes))
    assert chosen(key, nodes) in nodes


@given(st.lists(NAMES, max_size=30), NODES, NAMES)
def test_a_node_that_comes_takes_only_its_own_share(keys: list[str], nodes: list[str], fresh: str) -> None:
    for key in keys:
        assert chosen(key, [*nodes, fresh]) in (chosen(key, nodes), fresh)


def test_nobody_is_there() -> None:
    assert chosen("key", []) is None


def test_shares_are_even() -> None:
    for nodes in (["a", "b"], ["node-1", "node-2", "node-3"], [f"10.0.0.{number}" for number in range(8)]):
        shares = Counter(chosen(f"192.0.2.{i // 8}:{8188 + i % 8}", nodes) for i in range(10_000))
        even = 10_000 / len(nodes)
        assert all(abs(shares[node] - even) < 0.08 * even for node in nodes)
