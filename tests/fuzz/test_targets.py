"""Every fuzz target over its seeds."""

import importlib

import pytest

from tests.fuzz import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_target_accepts_whole_cut_and_reversed_seeds(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}")
    assert len(target.SEEDS) >= 3
    for seed in target.SEEDS:
        for data in (seed, seed[: len(seed) // 2], seed[::-1], b""):
            target.run_input(data)
