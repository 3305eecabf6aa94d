"""Tuning of the garbage collector: full collections stay short, and garbage does not accumulate."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from statemachine.daemon.gc_tuning import GROWTH, START_S, short_collections


class Node:
    """An object that can be part of a cycle."""

    def __init__(self) -> None:
        self.other: Node = self


class Process:
    """A process whose time and size change only when set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.size = 1_000

    def collections(self) -> AbstractContextManager[None]:
        return short_collections(lambda: self.now, lambda: self.size)


@pytest.fixture
def process() -> Iterator[Process]:
    """Provide a process after its start."""
    process = Process()
    gc.collect()
    with process.collections():
        gc.collect()
        process.now += START_S
        yield process


def test_gc_objects_of_the_start_are_frozen() -> None:
    gc.collect()
    with Process().collections():
        kept = [Node() for _ in range(1_000)]
        gc.collect()
        assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("process")
def test_gc_survivors_of_full_collection_are_frozen() -> None:
    kept = [Node() for _ in range(1_000)]
    gc.collect()
    assert not set(map(id, kept)) & set(map(id, gc.get_objects()))


@pytest.mark.usefixtures("process")
def test_gc_young_cycle_is_collected() -> None:
    node = weakref.ref(Node())
    gc.collect()
    assert node() is None


def test_gc_old_cycle_is_collected_after_growth(process: Process) -> None:
    old = Node()
    gc.collect()
    cycle = weakref.ref(old)
    del old
    gc.collect()
    assert cycle() is not None
    process.size = int(process.size * GROWTH) + 1
    gc.collect()
    assert cycle() is None


def test_gc_garbage_is_bounded_where_objects_come_and_go(process: Process) -> None:
    """Each round leaves a quarter of the live memory as garbage, which the next collection of everything frees."""
    live = process.size
    for _ in range(20):
        old = Node()
        gc.collect()
        cycle = weakref.ref(old, lambda _: setattr(process, "size", live))
        del old
        process.size = int(live * GROWTH) + 1
        gc.collect()
        assert cycle() is None
        assert process.size == live


def test_gc_settings_are_restored_afterwards() -> None:
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    with Process().collections():
        assert gc.get_threshold() != thresholds
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (thresholds, callbacks, 0)
