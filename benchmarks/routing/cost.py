"""The cost of one choice in a large fleet."""

import random
import time
from collections.abc import Callable

from statemachine.routing.fleet import RoutedFleet

SERVERS = 1_000
CALLS = 500
BLOCKS = 10


def busy_fleet() -> tuple[RoutedFleet, list[frozenset[str]]]:
    """Return a fleet in which every server ran prompts of several models and a third has prompts now."""
    chance, fleet = random.Random(1), RoutedFleet()  # noqa: S311
    needs = [frozenset({f"m{number}", f"vae{number % 5}"}) for number in range(80)]
    for number in range(SERVERS):
        fleet.put(f"s{number}", is_ready=True)
        for place in range(4):
            fleet.sent(f"s{number}", f"{number}-{place}", chance.choice(needs[: 4 + 20 * place]), float(place))
            if place or number % 3:
                fleet.finished(f"s{number}", f"{number}-{place}", place + 20.0)
    return fleet, needs


def seconds_each(act: Callable[[int], object]) -> float:
    """Return the least time of a call, in blocks, so that other work of the machine counts little."""
    blocks = []
    for _ in range(BLOCKS):
        began = time.perf_counter()
        for number in range(CALLS // BLOCKS):
            act(number)
        blocks.append((time.perf_counter() - began) / (CALLS // BLOCKS))
    return min(blocks)


def seconds_of_choice() -> float:
    """Return the time of a choice in a busy fleet."""
    fleet, needs = busy_fleet()
    return seconds_each(lambda number: fleet.choose(needs[number % len(needs)], 100.0))
