"""The newest decisions of this gateway, numbered, for the daemon's page."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from statemachine.gateway.json_text import dumps, loads
from statemachine.routing.explanation import MAX_MODEL_NAME, Explanation
from statemachine.settings.masking import Mask

KEPT = 10_000
"""Decisions that are kept for a daemon that is away or restarted."""
BATCH = 200
"""Decisions in a report."""


class _Kept(NamedTuple):
    at: float
    text: bytes


class Decisions:
    """Keeps decisions and makes the reports. `now` returns seconds of a monotonic clock; `mask` hides secrets."""

    def __init__(self, mask: Mask, now: Callable[[], float] = time.monotonic) -> None:
        self._mask = mask
        self._now = now
        self._id = uuid4().hex
        self._kept: deque[_Kept] = deque(maxlen=KEPT)
        self._count = 0

    def note(self, explanation: Explanation) -> None:
        """Keep a decision; the oldest makes room."""
        self._count += 1
        self._kept.append(_Kept(self._now(), dumps(self._described(explanation))))

    def is_behind(self, number: int) -> bool:
        """Return whether there are decisions from this number on."""
        return number < self._count

    def report(self, number: int) -> dict[str, Any]:
        """Return the report that begins with this number, or with the oldest decision that is left."""
        now, oldest = self._now(), self._count - len(self._kept)
        first = min(max(number, oldest), self._count)
        end = min(first + BATCH, self._count)
        kept = (self._kept[one - oldest] for one in range(first, end))
        decisions = [{"age_s": max(0.0, now - one.at), **loads(one.text)} for one in kept]
        return {"gateway": self._id, "oldest": oldest, "first": first, "decisions": decisions}

    def _described(self, explanation: Explanation) -> dict[str, Any]:
        return {
            "server": explanation.server,
            "reason": explanation.why.value,
            "cold": explanation.is_cold,
            "expected_wait_s": explanation.wait_s,
            "missing": [self._mask.text(name)[:MAX_MODEL_NAME] for name in explanation.missing],
            "others": [
                {"server": one.server, "prospect": one.prospect.value, "expected_wait_s": one.wait_s}
                for one in explanation.others
            ],
        }
