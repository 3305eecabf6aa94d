"""The history of every server, built from the event log entry by entry."""

from collections.abc import Collection, Iterable, Iterator

from statemachine.core.log_entry import LogEntry
from statemachine.journal.rows import DaemonRun
from statemachine.warmth.server import ServerWarmth

BEFORE_FIRST_RUN = -1
"""The run of entries that are older than every known run; the end of it is not known."""

MOST_ABSENT = 1_000
"""Servers outside the fleet of which the history is kept, in case that they come back."""


class WarmthHistory:
    """`cursor` is the id of the newest entry. Add each entry once, in the order of ids.

    Times come from the entries and runs; no clock is read.
    """

    def __init__(self) -> None:
        self.cursor = 0
        self._servers: dict[str, ServerWarmth] = {}
        self._runs: list[DaemonRun] = []
        self._run = BEFORE_FIRST_RUN
        self._ends: dict[int, float] = {}
        self._newest_at = 0.0

    @property
    def newest_run(self) -> int:
        """Return the `after_seq` of the newest known run, or -1."""
        return self._runs[-1].after_seq if self._runs else -1

    def add_runs(self, runs: Iterable[DaemonRun]) -> None:
        """Add later runs, oldest first, before the first entry of each."""
        self._runs += runs

    def add(self, entry: LogEntry) -> None:
        """Add the next entry of the log."""
        seq = entry.seq or 0
        while self._run + 1 < len(self._runs) and self._runs[self._run + 1].after_seq < seq:
            self._end_run()
        self.cursor = seq
        self._newest_at = max(self._newest_at, entry.at)
        if entry.server is None or entry.dest is None:
            return
        server = self._servers.get(entry.server)
        if server is None:
            server = self._servers[entry.server] = ServerWarmth(self._run)
        self._enter_run(server)
        server.add(entry)

    def start_known_runs(self) -> None:
        """Start every known run, because the log has no entry after the cursor."""
        while self._run + 1 < len(self._runs):
            self._end_run()

    def _end_run(self) -> None:
        if self._run != BEFORE_FIRST_RUN:
            self._ends[self._run] = max(self._runs[self._run].seen_at, self._newest_at)
        self._run += 1
        self._newest_at = 0.0

    def _enter_run(self, server: ServerWarmth) -> None:
        """Make the server unknown from the end of its run until its first entry in the present one."""
        if server.run != self._run:
            server.set_unknown(self._ends.get(server.run, server.last_at))
            server.run = self._run

    def server(self, name: str) -> ServerWarmth | None:
        """Return the history of one server, or None if it has no entries."""
        server = self._servers.get(name)
        if server is not None:
            self._enter_run(server)
        return server

    def prune(self, horizon: float, present: Collection[str]) -> Iterator[None]:
        """Drop what is older than `horizon` (epoch seconds), and servers not `present` without later entries.

        Of those not present, at most MOST_ABSENT stay. Yield after each server, so that the caller can let other tasks
        run.
        """
        absent = sorted((server.last_at, name) for name, server in self._servers.items() if name not in present)
        for _, name in absent[: max(0, len(absent) - MOST_ABSENT)]:
            del self._servers[name]
        for name, server in list(self._servers.items()):
            if name not in present and server.last_at < horizon:
                del self._servers[name]
            else:
                server.prune(horizon)
            yield

    def __len__(self) -> int:
        """Return the number of servers."""
        return len(self._servers)
