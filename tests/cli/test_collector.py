"""The collector: full collections look at little, and yet no garbage stays for ever."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from statemachine.daemon.gc_tuning import GROWTH, START_S, short_collections


class Node:
    """Something that can stand in a cycle."""

    def __init__(self) -> None:
        self.other: Node = self


class Process:
    """Its time and its size stand still unless changed."""

    def __init__(self) -> None:
        self.now = 0.0
        self.size = 1_000

    def collections(self) -> AbstractContextManager[None]:
        return short_collections(lambda: self.now, lambda: self.size)


@pytest.fixture
def process() -> Iterator[Process]:
    """A process whose start is over."""
    process = Process()
    gc.collect()
    with process.collections():
        gc.collect()
        process.now += START_S
        yield process


def test_what_came_in_the_start_is_not_looked_at_again() -> None:
    gc.collect()
    with Process().collections():
        kept = [Node() for _ in range(1_000)]
        gc.collect()
        assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("process")
def test_what_survives_a_full_collection_is_not_looked_at_again() -> None:
    kept = [Node() for _ in range(1_000)]
    gc.collect()
    assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("process")
def test_a_young_cycle_is_collected() -> None:
    node = weakref.ref(Node())
    gc.collect()
    assert node() is None


def test_an_old_cycle_is_collected_once_the_process_has_grown(process: Process) -> None:
    old = Node()
    gc.collect()
    cycle = weakref.ref(old)
    del old
    gc.collect()
    assert cycle() is not None
    process.size = int(process.size * GROWTH) + 1
    gc.collect()
    assert cycle() is None


def test_afterwards_everything_is_as_before() -> None:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    with Process().collections():
        assert gc.get_threshold() != thresholds
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (thresholds, callbacks, 0)
