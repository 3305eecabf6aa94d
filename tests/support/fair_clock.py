"""A clock that stands still while the machine has no processor for the tests or for a daemon that they started."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

PROC = Path("/proc")
NS = 1e9


class FairClock:
    """Measures the delays that programs cause themselves: their work, their sleeps, and their waits for each other.

    The time for which a main thread was ready to run, but had to wait for a processor, does not count. On a system that
    does not report it, all time counts. The programs are this process and `others`, by default its children.
    """

    def __init__(self, *others: int) -> None:
        self._others = others
        self._waited = dict(_waits(others))
        self._at = time.monotonic()
        self._fair = 0.0

    def now(self) -> float:
        """Return the fair seconds since the clock was made."""
        at, waits = time.monotonic(), dict(_waits(self._others))
        starved = sum(max(0.0, waited - self._waited.get(process, 0.0)) for process, waited in waits.items())
        self._fair += max(0.0, at - self._at - starved)
        self._at, self._waited = at, waits
        return self._fair


def _waits(others: Sequence[int]) -> Iterator[tuple[str, float]]:
    """Yield each process with the seconds for which its main thread waited for a processor."""
    for process in ("self", *(map(str, others) if others else _children())):
        try:
            _, waited, _ = (PROC / process / "schedstat").read_text(encoding="ascii").split()
        except (OSError, ValueError):
            continue
        yield process, int(waited) / NS


def _children() -> list[str]:
    try:
        return [
            child
            for thread in (PROC / "self" / "task").iterdir()
            for child in (thread / "children").read_text(encoding="ascii").split()
        ]
    except OSError:
        return []
