"""Reports this gateway's decisions to the daemon, whose page shows them. While it is away they are kept."""

import asyncio
import random

from loguru import logger

from statemachine.gateway.daemon_feed import DaemonSource, OpenSource
from statemachine.gateway.decisions import Decisions
from statemachine.i18n.render import MessageError

EVERY_S = 2.0
"""Time between two looks for new decisions."""
GREETING_S = 60.0
"""Time between reports without decisions, from which a restarted daemon learns of this gateway."""
LONGEST_PAUSE_S = 60.0


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
