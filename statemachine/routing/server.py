"""One server as the choice sees it: its prompts in order, and its models."""

from dataclasses import dataclass, field

from statemachine.routing.holdings import Holdings
from statemachine.routing.ordered import Entry, OrderedServers

OVERDUE_SHARE = 0.3
"""A prompt still needs at least this share of the time that it has run: long ones are longer than expected."""


@dataclass(slots=True, eq=False)
class Job:
    """A prompt on a server. `models` is None if unknown. Times are seconds of one clock.

    `distance` is that of its models when it was sent: None if some are unknown or differ. `was_absent`: all of them
    were known to be missing. `run_s` and `load_s` are expectations.
    """

    id: str
    models: frozenset[str] | None
    sent_at: float
    run_s: float
    load_s: float
    distance: int | None = None
    was_absent: bool = False
    started_at: float | None = None

    @property
    def total_s(self) -> float:
        """Expected seconds from its start to its end."""
        return self.run_s + self.load_s

    def remaining_s(self, at: float) -> float:
        """Return the expected seconds to its end."""
        elapsed = 0.0 if self.started_at is None else at - self.started_at
        return max(self.total_s - elapsed, OVERDUE_SHARE * (elapsed - self.load_s))


@dataclass(slots=True, eq=False)
class RoutedServer:
    """Prompts in the order in which the server runs them. `number` makes orders total.

    `entries` are its places in the orders, and `held` the models in whose orders it is.
    """

    name: str
    number: int
    holdings: Holdings
    is_ready: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)
    total_s: float = 0.0
    entries: list[tuple[OrderedServers, Entry]] = field(default_factory=list)
    held: tuple[str, ...] = ()

    def add(self, job: Job) -> None:
        """Append a prompt; the first one starts at once."""
        if not self.jobs:
            job.started_at = job.sent_at
        self.jobs[job.id] = job
        self.total_s += job.total_s

    def remove(self, job_id: str, at: float) -> Job | None:
        """Remove a prompt, and start the next one if it was the first; return None if it is not there."""
        job = self.jobs.pop(job_id, None)
        if job is None:
            return None
        self.total_s = max(0.0, self.total_s - job.total_s) if self.jobs else 0.0
        if (head := self.head) is not None and head.started_at is None:
            head.started_at = at
        return job

    @property
    def head(self) -> Job | None:
        """The prompt that runs."""
        return next(iter(self.jobs.values()), None)

    def work_s(self, at: float) -> float:
        """Return the expected seconds until all of its prompts have ended."""
        head = self.head
        return 0.0 if head is None else self.total_s - head.total_s + head.remaining_s(at)

    def free_at(self) -> float:
        """Return when its prompts are expected to have ended; 0 if there are none."""
        head = self.head
        return 0.0 if head is None else (head.started_at or head.sent_at) + self.total_s
