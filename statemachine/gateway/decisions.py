"""The newest decisions of this gateway, numbered, and their reports to the daemon.

The daemon's page shows them. While the daemon is away they are kept.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import uuid4

from loguru import logger

from statemachine.gateway.daemon_feed import DaemonSource, OpenSource
from statemachine.gateway.json_text import dumps, loads
from statemachine.i18n.render import MessageError
from statemachine.routing.decision import MAX_MODEL_NAME, Explanation
from statemachine.settings.masking import Mask

KEPT = 10_000
"""Decisions that are kept for a daemon that is away or restarted."""
BATCH = 200
"""Decisions in a report."""

EVERY_S = 2.0
"""Time between two looks for new decisions."""
GREETING_S = 60.0
"""Time between reports without decisions, from which a restarted daemon learns of this gateway."""
LONGEST_PAUSE_S = 60.0


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


class Reporting:
    """Sends each decision until the daemon has counted it."""

    def __init__(self, open_source: OpenSource, decisions: Decisions, every_s: float = EVERY_S) -> None:
        self._open_source = open_source
        self._decisions = decisions
        self._every_s = every_s
        self._next = 0
        """The number of the decision that the daemon expects."""
        self._trouble = ""

    async def run(self) -> None:
        """Report until cancelled."""
        pause_s = self._every_s
        while True:
            try:
                async with self._open_source() as daemon:
                    while True:
                        await self._report_all(daemon)
                        pause_s = self._every_s
                        await self._wait_for_more()
            except MessageError as error:
                self._note_trouble(str(error))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _report_all(self, daemon: DaemonSource) -> None:
        """Send one report, and more while there are decisions."""
        while True:
            answer = await daemon.send("/api/decisions", self._decisions.report(self._next))
            if not isinstance(expected := answer.get("next"), int) or expected < 0:
                raise MessageError("the daemon does not count decisions; it may be of another version")
            self._note_trouble("")
            moved, self._next = expected != self._next, expected
            if not (moved and self._decisions.is_behind(expected)):
                return

    async def _wait_for_more(self) -> None:
        for _ in range(max(1, round(GREETING_S / self._every_s))):
            await asyncio.sleep(self._every_s)
            if self._decisions.is_behind(self._next):
                return

    def _note_trouble(self, trouble: str) -> None:
        """Log trouble once, until reports arrive again."""
        if trouble and not self._trouble:
            logger.warning("{}; decisions are kept and will be reported later", trouble)
        elif self._trouble and not trouble:
            logger.info("decisions are reported again")
        self._trouble = trouble
