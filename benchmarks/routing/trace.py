"""Requests: read from a trace, or synthetic ones with the statistics of a public trace of image generation.

The trace has the columns at_s, model, run_s and loras. The statistics are those of GenTD26 (Lin et al., "Understanding
Diffusion Model Serving in Production", ACM SoCC 2025): shares of the models, and bursty arrivals.
"""

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARES = (31, 15, 9, 8, 8, 4, 4, 3, 3, 3, 2)
"""Percent of the requests for the most popular models. The others share the rest."""

MODELS = 87
REQUESTS = 17_000
RUN_MEDIAN_S = 22.0
RUN_SIGMA_MODELS, RUN_SIGMA = 0.4, 0.37
"""Spread of the logarithm of run times, between models and within one."""

SESSION_REQUESTS = 8
"""Average number of requests for one model in a row: users try again with the model that they have."""

SESSION_GAP_S = 25.0
"""Average time between two requests of a session. Sessions overlap, so models alternate."""

MEAN_GAP_S = 64.0
"""Scale of the gaps between sessions; it gives 87 s between two requests."""

HOUR_S = 3600.0
QUIET_FACTOR = 6.0
"""How many times rarer sessions begin in a quiet hour than in a busy one."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request at a time in seconds, with its model and the seconds that it runs."""

    at_s: float
    model: str
    run_s: float


def read_trace(path: Path) -> list[Request]:
    """Return the requests of a CSV file with the columns at_s, model and run_s, in order of time."""
    with path.open(newline="") as file:
        rows = [Request(float(row["at_s"]), row["model"], float(row["run_s"])) for row in csv.DictReader(file)]
    return sorted(rows, key=lambda request: request.at_s)


def synthetic_trace(seed: int = 1, requests: int = REQUESTS) -> list[Request]:
    """Return requests with the statistics above, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    rest = (100 - sum(SHARES)) / (MODELS - len(SHARES))
    weights = [*SHARES, *[rest] * (MODELS - len(SHARES))]
    medians = [RUN_MEDIAN_S * math.exp(chance.gauss(0, RUN_SIGMA_MODELS)) for _ in weights]
    found: list[Request] = []
    at = 0.0
    while len(found) < requests:
        busy = int(at / HOUR_S) % 4 == 0
        at += chance.expovariate(1.0 / (MEAN_GAP_S * SESSION_REQUESTS * (0.4 if busy else 0.4 * QUIET_FACTOR)))
        found += _session(chance, at, chance.choices(range(len(weights)), weights)[0], medians)
    return sorted(found, key=lambda request: request.at_s)[:requests]


def _session(chance: random.Random, at: float, model: int, medians: Sequence[float]) -> list[Request]:
    """Return a user's requests for one model. Their number and their gaps vary much, so arrivals are bursty."""
    found = []
    for _ in range(1 + int(chance.expovariate(1.0 / (SESSION_REQUESTS - 1)))):
        run_s = max(1.0, medians[model] * math.exp(chance.gauss(0, RUN_SIGMA)))
        found.append(Request(at, f"M{model:04}", run_s))
        at += chance.expovariate(1.0 / SESSION_GAP_S) if chance.random() < 0.7 else chance.expovariate(0.5)  # noqa: PLR2004
    return found


def halves(requests: Sequence[Request]) -> tuple[list[Request], list[Request]]:
    """Return the requests of the first and of the second half of the time."""
    middle = (requests[0].at_s + requests[-1].at_s) / 2
    return [one for one in requests if one.at_s < middle], [one for one in requests if one.at_s >= middle]
