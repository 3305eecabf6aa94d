"""The collector: full collections look at little, and yet no garbage stays for ever."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from statemachine.cli.collector import GROWTH, LEAST_GROWTH, START_S, short_collections


class Node:
    """Something that can stand in a cycle."""

    def __init__(self) -> None:
        self.other: Node = self


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock by which the collector's start is over."""
    clock = Clock()
    gc.collect()
    with short_collections(clock):
        clock.now += START_S
        gc.collect()
        yield clock


def test_what_came_in_the_start_is_not_looked_at_again() -> None:
    gc.collect()
    with short_collections(Clock()):
        kept = [Node() for _ in range(1_000)]
        gc.collect()
        assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("clock")
def test_what_survives_a_full_collection_is_not_looked_at_again() -> None:
    kept = [Node() for _ in range(1_000)]
    gc.collect()
    assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("clock")
def test_a_young_cycle_is_collected() -> None:
    node = weakref.ref(Node())
    gc.collect()
    assert node() is None


@pytest.mark.usefixtures("clock")
def test_old_cycles_are_collected_once_they_are_many() -> None:
    old = Node()
    gc.collect()
    cycle = weakref.ref(old)
    del old
    many: list[list[int]] = []
    for _ in range(3):
        many += [[] for _ in range(int(gc.get_freeze_count() * GROWTH) + 2 * LEAST_GROWTH)]
        gc.collect()
    assert cycle() is None


def test_afterwards_everything_is_as_before() -> None:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    with short_collections(Clock()):
        assert gc.get_threshold() != thresholds
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (thresholds, callbacks, 0)
