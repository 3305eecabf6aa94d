"""Event logs for the tests, written as a story: who went where, why and how much later."""

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.rows import DaemonRun
from statemachine.warmth.history import Book

BEGIN = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""

HOUR, DAY = 3_600.0, 86_400.0

R, S = Reason, State


class Chronicle:
    """Entries in their order, numbered from 1; each server goes on from where it stands."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.entries: list[LogEntry] = []
        self.lives: list[DaemonRun] = []
        self._states: dict[str, State] = {}

    def wait(self, seconds: float) -> "Chronicle":
        """Time passes."""
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
    ) -> "Chronicle":
        """A server goes to another state now, from where it stands unless the story says otherwise."""
        self.entries.append(
            LogEntry(
                at=self.now,
                kind=EntryKind.TRANSITION,
                reason=reason.value,
                message="a sentence",
                server=server,
                group="g",
                source=source or self._states.get(server, S.UNKNOWN),
                dest=dest,
                witness=by,
                prompt_id=prompt,
                seq=len(self.entries) + 1,
            )
        )
        self._states[server] = dest
        return self

    def checked(self, dest: State, reason: Reason, *, server: str = "a") -> "Chronicle":
        """A check's verdict, by way of `checking`."""
        return self.go(S.CHECKING, R.CHECK_STARTED, server=server).go(dest, reason, server=server)

    def loaded(self, server: str = "a") -> "Chronicle":
        """It is found loaded."""
        return self.checked(S.LOADED, R.ALL_CACHED, server=server)

    def cold(self, server: str = "a") -> "Chronicle":
        """It is found cold."""
        return self.checked(S.COLD, R.KEYS_MISSING, server=server)

    def doubt(self, reason: Reason, server: str = "a") -> "Chronicle":
        """Something may have changed."""
        return self.go(S.UNKNOWN, reason, server=server)

    def submitted(self, prompt: str = "p") -> "Chronicle":
        """A warm-up is accepted."""
        self.go(S.SUBMITTING, R.PERMIT_GRANTED, prompt=prompt)
        return self.go(S.WARMING, R.PROMPT_ACCEPTED, prompt=prompt)

    def succeeded(self, prompt: str = "p") -> "Chronicle":
        """It has ended well, and the check is being asked."""
        return self.go(S.CHECKING, R.PROMPT_SUCCEEDED, prompt=prompt, by=Source.WS)

    def new_life(self, seen_at: float = 0.0) -> "Chronicle":
        """The daemon starts (again); of this life the last sign will have been `seen_at`. Every server is unknown."""
        self.lives.append(DaemonRun(len(self.entries), seen_at))
        self._states = {name: S.PAUSED for name, state in self._states.items() if state is S.PAUSED}
        return self

    def book(self) -> Book:
        """All of it, folded."""
        book = Book()
        book.learn_lives(self.lives)
        for entry in self.entries:
            book.take(entry)
        book.has_all()
        return book
