"""How many sets of models a server keeps, learned from how long its prompts took.

The distance of a model is the number of other sets that ran since the last one that includes it. A server with room for
two sets has a model ready at the distances 0 and 1.
"""

from itertools import accumulate
from typing import Final

from statemachine.routing.averages import Average

MAX_DISTANCE: Final = 16
"""Sets that are remembered of a server. Beyond, models count as unknown."""

PRIOR_KEPT: Final = (1.0, 0.6, 0.3, 0.1)
"""Probabilities at the first distances before anything is learned, 0 beyond. The last set is always ready."""

RATE: Final = 0.01
"""Least weight of an observation. Run times vary by more than a load takes, and the room of a server hardly changes."""

FLEET_WEIGHT: Final = 40.0
"""How many observations of one server the fleet's average counts for: servers of a fleet are mostly alike."""

REFRESH_AFTER: Final = 1.05
"""Growth of the fleet's observations after which the probabilities of a server are computed again."""

READY: Final = 0.5
"""Probability from which a model counts as ready."""


class Retention:
    """Whether models are still ready at each distance; `fleet` is that of all servers, which unknown servers follow."""

    def __init__(self, fleet: "Retention | None" = None) -> None:
        self._fleet = fleet
        self._kept: list[Average] = [Average(RATE) for _ in range(MAX_DISTANCE)]
        self._observed = 0
        self._probabilities: tuple[float, ...] = ()
        self._valid_until = 0

    def observe(self, distance: int, kept: float) -> None:
        """Learn from a prompt at this distance. `kept` is 1 if nothing was loaded, 0 if all was, noise included."""
        if 0 < distance < MAX_DISTANCE:
            self._kept[distance].observe(kept)
            self._observed += 1
            self._probabilities = ()
            if self._fleet is not None:
                self._fleet.observe(distance, kept)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """How likely a model at each distance is ready. They never rise with the distance."""
        of_fleet = 0 if self._fleet is None else self._fleet.observed
        if not self._probabilities or of_fleet > self._valid_until:
            self._valid_until = int(of_fleet * REFRESH_AFTER)
            expected = (min(1.0, max(0.0, self._expected(one))) for one in range(MAX_DISTANCE))
            self._probabilities = tuple(accumulate(expected, min))
        return self._probabilities

    @property
    def observed(self) -> int:
        """Number of observations."""
        return self._observed

    def probability(self, distance: int) -> float:
        """Return how likely a model at this distance is ready."""
        return self.probabilities[distance] if distance < MAX_DISTANCE else 0.0

    @property
    def capacity(self) -> int:
        """Number of sets that the server probably keeps, at least one."""
        return next((one for one, kept in enumerate(self.probabilities) if kept < READY), MAX_DISTANCE)

    def _expected(self, distance: int) -> float:
        if distance == 0:
            return 1.0
        if self._fleet is not None:
            return self._kept[distance].expected(self._fleet.probability(distance), FLEET_WEIGHT)
        prior = PRIOR_KEPT[distance] if distance < len(PRIOR_KEPT) else 0.0
        return self._kept[distance].expected(prior)
