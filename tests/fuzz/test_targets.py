"""Every target over what it begins with."""

import importlib

import pytest

from tests.fuzz import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_cut_seeds_break_nothing(name: str) -> None:
    target = importlib.import_module(f"tests.fuzz.{name}")
    assert len(target.SEEDS) >= 3
    for seed in target.SEEDS:
        for data in (seed, seed[: len(seed) // 2], seed[::-1], b""):
            target.one_input(data)
