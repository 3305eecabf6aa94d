"""The models that a server probably has ready, from what it reported and from what ran there."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from statemachine.routing.retention import MAX_DISTANCE, READY, Retention

MAX_REPORTED = 1_000
"""Models of a report that are remembered."""


@dataclass(frozen=True, slots=True)
class Use:
    """A set of models that ran; None if unknown. `at` is when its latest prompt was sent to the server."""

    models: frozenset[str] | None
    at: float


@dataclass(frozen=True, slots=True)
class Derived:
    """What follows from the uses and the report. `victim` is the set that the next other one pushes out."""

    basis: tuple[float, ...]
    kept: Mapping[str, float]
    used_at: Mapping[str, float]
    victim: Use | None


class Holdings:
    """The sets that ran on one server, newest first, and its latest report.

    A report holds until a prompt loads something else. What was never reported and never ran is unknown.
    """

    def __init__(self, retention: Retention) -> None:
        self.retention = retention
        self._uses: list[Use] = []
        self._present: frozenset[str] = frozenset()
        self._absent: frozenset[str] = frozenset()
        self._known_from_start = False
        self._derived: Derived | None = None

    def report(self, present: Collection[str], absent: Collection[str], at: float) -> None:
        """Apply a statement of the server, or a check: these models are ready, and those are not."""
        self._derived = None
        self._present = frozenset(sorted(present)[:MAX_REPORTED])
        self._absent = frozenset(sorted(absent)[:MAX_REPORTED]) - self._present
        gone = self._absent
        self._uses = [use for use in self._uses if use.models is None or not use.models & gone]
        ran = frozenset[str]().union(*(use.models for use in self._uses if use.models is not None))
        if unseen := self._present - ran:
            self._uses.append(Use(unseen, at))

    def restart(self) -> None:
        """Apply a new process of the server, which has nothing ready."""
        self._derived = None
        self._uses.clear()
        self._present = self._absent = frozenset()
        self._known_from_start = True

    def forget(self) -> None:
        """Forget everything: from now on all is unknown."""
        self.restart()
        self._known_from_start = False

    def run(self, models: frozenset[str] | None, at: float) -> None:
        """Apply a prompt that was sent to the server; `models` is None if they are unknown."""
        if models is not None and not models:
            return
        self._derived = None
        if models is None or not models <= self._present:
            self._present = frozenset()
        if models is not None:
            self._absent -= models
            self._uses = [use for use in self._uses if use.models != models]
        self._uses.insert(0, Use(models, at))
        if len(self._uses) > MAX_DISTANCE:
            del self._uses[MAX_DISTANCE:]

    def unrun(self, models: frozenset[str] | None, distance: int | None) -> None:
        """Undo the latest use of a set, because its prompt did not run. `distance` is the one before it was sent."""
        self._derived = None
        latest = next((one for one, use in enumerate(self._uses) if use.models == models), None)
        if latest is not None:
            use = self._uses.pop(latest)
            if distance is not None:
                self._uses.insert(latest + distance, use)

    def distance(self, model: str) -> int | None:
        """Return the number of other sets that ran since this model was used; None if it was not."""
        return next((one for one, use in enumerate(self._uses) if use.models and model in use.models), None)

    def kept(self, model: str) -> float | None:
        """Return how likely the model is ready; None if that is unknown."""
        kept = self.known.get(model)
        if kept is not None:
            return kept
        return 0.0 if self._known_from_start or len(self._uses) >= MAX_DISTANCE else None

    def probability(self, model: str) -> float:
        """Return how likely the model is ready; what is unknown counts as missing."""
        return self.known.get(model, 0.0)

    @property
    def known(self) -> Mapping[str, float]:
        """How likely each model that ran or was reported is ready."""
        return self.derived.kept

    @property
    def ready(self) -> dict[str, float]:
        """The models that are probably ready, with the time of their latest use, 0 if they did not run."""
        derived = self.derived
        return {model: derived.used_at.get(model, 0.0) for model, kept in derived.kept.items() if kept >= READY}

    def victim(self) -> Use | None:
        """Return the set that the next other one pushes out; None if there is probably room."""
        return self.derived.victim

    @property
    def derived(self) -> Derived:
        """What follows from the uses, the report and the retention, computed again if one of them has changed."""
        probabilities = self.retention.probabilities
        if self._derived is None or self._derived.basis is not probabilities:
            self._derived = self._derive(probabilities)
        return self._derived

    def _derive(self, probabilities: tuple[float, ...]) -> Derived:
        kept, used_at = dict[str, float](), dict[str, float]()
        for use, probability in zip(self._uses, probabilities, strict=False):
            for model in use.models or ():
                kept.setdefault(model, probability)
                used_at.setdefault(model, use.at)
        kept |= dict.fromkeys(self._absent, 0.0) | dict.fromkeys(self._present, 1.0)
        room = self.retention.capacity
        return Derived(probabilities, kept, used_at, self._uses[room - 1] if room <= len(self._uses) else None)
