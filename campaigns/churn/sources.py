"""Sources that list the machines of a world, fail, answer empty and repeat addresses."""

import asyncio
from collections import Counter
from random import Random

from campaigns.churn.world import World
from statemachine.core.messages import message
from statemachine.discovery.source import Report, SourceError
from statemachine.discovery.target import Listing

INTERVAL_S = 30.0
TROUBLE_EVERY_S = 2400.0
TROUBLES = ("fails", "empty", "partial")
LONGEST_S = {"fails": 1200.0, "empty": 240.0, "partial": 240.0}
"""An empty answer that lasts longer than the grace period would remove a share of the servers, as it is documented."""


class TroubledSource:
    """Lists its machines every INTERVAL_S. Now and then it is in trouble for a while."""

    def __init__(self, name: str, world: World, rng: Random, counts: Counter[str]) -> None:
        self.name = name
        self.is_calm = False
        self._world, self._rng, self._counts = world, rng, counts
        self._trouble, self._until = "", 0.0

    async def run(self, report: Report) -> None:
        """Report until cancelled."""
        while True:
            self._change_mood()
            if self._trouble == "fails":
                self._counts["failures"] += 1
                raise SourceError(message("source_status", status=500))
            report(self._listing())
            await asyncio.sleep(INTERVAL_S)

    def _change_mood(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._trouble = ""
        if not self._trouble and not self.is_calm and self._rng.random() < INTERVAL_S / TROUBLE_EVERY_S:
            self._trouble = self._rng.choice(TROUBLES)
            self._until = now + self._rng.uniform(INTERVAL_S, LONGEST_S[self._trouble])

    def _listing(self) -> Listing:
        if self._trouble == "empty":
            self._counts["empty answers"] += 1
            return Listing()
        own = [one for one in self._world if one.source == self.name or one.is_repeated]
        if self._trouble == "partial":
            self._counts["partial answers"] += 1
            own = own[: len(own) // 3]
        for one in own:
            one.listed_at = one.listed_at or asyncio.get_running_loop().time()
        repeated = self._rng.sample(own, len(own) // 20)
        self._counts["repeated addresses"] += len(repeated) + sum(one.is_repeated for one in own)
        targets = [one.target for one in (*own, *repeated)]
        self._rng.shuffle(targets)
        return Listing(tuple(targets))
