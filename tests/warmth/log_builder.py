"""Build event logs step by step."""

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.rows import DaemonRun
from statemachine.warmth.history import WarmthHistory

BEGIN = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""

HOUR, DAY = 3_600.0, 86_400.0

R, S = Reason, State


class LogBuilder:
    """Entries with ids from 1. Each transition starts from the server's current state."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.entries: list[LogEntry] = []
        self.runs: list[DaemonRun] = []
        self._states: dict[str, State] = {}

    def wait(self, seconds: float) -> "LogBuilder":
        """Advance the clock."""
        self.now += seconds
        return self

    def go(
        self,
        dest: State,
        reason: Reason,
        *,
        server: str = "a",
        source: State | None = None,
        prompt: str | None = None,
        by: Source = Source.CHECK,
    ) -> "LogBuilder":
        """Add a transition now, from the server's current state unless `source` is given."""
        self.entries.append(
            LogEntry(
                at=self.now,
                kind=EntryKind.TRANSITION,
                reason=reason.value,
                message=verbatim("a sentence"),
                server=server,
                group="g",
                source=source or self._states.get(server, S.UNKNOWN),
                dest=dest,
                proved_by=by,
                prompt_id=prompt,
                seq=len(self.entries) + 1,
            )
        )
        self._states[server] = dest
        return self

    def checked(self, dest: State, reason: Reason, *, server: str = "a") -> "LogBuilder":
        """Add a check and its verdict."""
        return self.go(S.CHECKING, R.CHECK_STARTED, server=server).go(dest, reason, server=server)

    def loaded(self, server: str = "a") -> "LogBuilder":
        """Add a check that finds the server loaded."""
        return self.checked(S.LOADED, R.ALL_CACHED, server=server)

    def cold(self, server: str = "a") -> "LogBuilder":
        """Add a check that finds the server cold."""
        return self.checked(S.COLD, R.KEYS_MISSING, server=server)

    def recheck(self, reason: Reason, server: str = "a") -> "LogBuilder":
        """Add a transition to `unknown`."""
        return self.go(S.UNKNOWN, reason, server=server)

    def submitted(self, prompt: str = "p") -> "LogBuilder":
        """Add a warm-up that is accepted."""
        self.go(S.SUBMITTING, R.PERMIT_GRANTED, prompt=prompt)
        return self.go(S.WARMING, R.PROMPT_ACCEPTED, prompt=prompt)

    def succeeded(self, prompt: str = "p") -> "LogBuilder":
        """Add the success of a warm-up, which starts a check."""
        return self.go(S.CHECKING, R.PROMPT_SUCCEEDED, prompt=prompt, by=Source.WS)

    def start_run(self, seen_at: float = 0.0) -> "LogBuilder":
        """Start a run of the daemon whose last heartbeat is at `seen_at`. Servers become unknown unless paused."""
        self.runs.append(DaemonRun(len(self.entries), seen_at))
        self._states = {name: S.PAUSED for name, state in self._states.items() if state is S.PAUSED}
        return self

    def history(self) -> WarmthHistory:
        """Return the history built from all entries."""
        history = WarmthHistory()
        history.add_runs(self.runs)
        for entry in self.entries:
            history.add(entry)
        history.start_known_runs()
        return history
