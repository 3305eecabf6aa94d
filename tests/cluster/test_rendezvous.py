"""Rendezvous hashing: even shares, and few moves when nodes join or leave."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.membership import node_for

NAMES = st.text(min_size=1, max_size=12)
NODES = st.lists(NAMES, min_size=1, max_size=8, unique=True)


@given(NAMES, NODES)
def test_node_for_does_not_depend_on_the_order_of_nodes(key: str, nodes: list[str]) -> None:
    assert node_for(key, nodes) == node_for(key, sorted(nodes)) == node_for(key, frozenset(nodes))
    assert node_for(key, nodes) in nodes


@given(st.lists(NAMES, max_size=30), NODES, NAMES)
def test_node_for_more_nodes_moves_keys_only_to_the_new_node(keys: list[str], nodes: list[str], new: str) -> None:
    for key in keys:
        assert node_for(key, [*nodes, new]) in (node_for(key, nodes), new)


def test_node_for_no_nodes_is_none() -> None:
    assert node_for("key", []) is None


def test_node_for_many_keys_gives_even_shares() -> None:
    for nodes in (["a", "b"], ["node-1", "node-2", "node-3"], [f"10.0.0.{number}" for number in range(8)]):
        shares = Counter(node_for(f"192.0.2.{i // 8}:{8188 + i % 8}", nodes) for i in range(10_000))
        even = 10_000 / len(nodes)
        assert all(abs(shares[node] - even) < 0.08 * even for node in nodes)
