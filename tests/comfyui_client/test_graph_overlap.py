"""Which results of one graph stay after another one has run."""

from typing import Any

import pytest

from statemachine.comfyui.graph_overlap import contains_nodes


def node(class_type: str = "Loader", **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


LOADER = node(name="a")
CHAIN = {"1": LOADER, "2": node("Use", model=["1", 0], steps=20)}


@pytest.mark.parametrize(
    ("graph", "wanted", "contained"),
    [
        (CHAIN, CHAIN, True),
        (CHAIN, {"1": LOADER}, True),
        ({"1": LOADER}, CHAIN, False),
        ({"7": LOADER, "x": node("Use", steps=20, model=["7", 0])}, CHAIN, True),
        ({"1": node(name="b"), "2": CHAIN["2"]}, CHAIN, False),
        ({"1": LOADER, "2": node("Use", model=["1", 1], steps=20)}, CHAIN, False),
        ({"1": LOADER, "2": node("Use", model=["1", 0], steps="20")}, CHAIN, False),
        ({}, CHAIN, False),
        ({"1": node("Use", model=["1", 0])}, {"1": LOADER}, False),
        ({"1": node("Use", model=["9", 0])}, {"1": LOADER}, False),
        ({"1": None}, {"1": LOADER}, False),
        ({"1": {"inputs": {}}}, {"1": LOADER}, False),
        ({"1": node(name="\ud800")}, {"1": LOADER}, False),
    ],
)
def test_contains_nodes_compares_class_inputs_and_sources(
    graph: dict[str, Any], wanted: dict[str, Any], *, contained: bool
) -> None:
    assert contains_nodes(graph, wanted) is contained


def test_contains_nodes_of_long_chain_ends() -> None:
    chain = {str(n): node("Use", model=[str(n - 1), 0]) for n in range(1, 3_000)} | {"0": LOADER}
    assert not contains_nodes(chain, {"0": LOADER})
