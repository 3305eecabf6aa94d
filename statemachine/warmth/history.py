"""Every server's past, folded from the event log entry by entry. Pure: times come with the entries and the lives."""

from collections.abc import Collection, Iterable, Iterator

from statemachine.core.log_entry import LogEntry
from statemachine.journal.rows import DaemonRun
from statemachine.warmth.server import ServerWarmth

BEFORE_ALL = -1
"""The life of entries that are older than every life that is known: when it ended is not."""


class Book:
    """`cursor` is the number of the newest entry taken. Entries come in the order of their numbers, each once."""

    def __init__(self) -> None:
        self.cursor = 0
        self._servers: dict[str, ServerWarmth] = {}
        self._lives: list[DaemonRun] = []
        self._life = BEFORE_ALL
        self._ends: dict[int, float] = {}
        self._newest_at = 0.0

    @property
    def newest_life(self) -> int:
        """The `after_seq` of the newest life that is known, -1 where none is."""
        return self._lives[-1].after_seq if self._lives else -1

    def learn_lives(self, lives: Iterable[DaemonRun]) -> None:
        """Lives after those that are known, oldest first; before the first entry of each is taken."""
        self._lives += lives

    def take(self, entry: LogEntry) -> None:
        """The log's next entry."""
        seq = entry.seq or 0
        while self._life + 1 < len(self._lives) and self._lives[self._life + 1].after_seq < seq:
            self._end_life()
        self.cursor = seq
        self._newest_at = max(self._newest_at, entry.at)
        if entry.server is None or entry.dest is None:
            return
        server = self._servers.get(entry.server)
        if server is None:
            server = self._servers[entry.server] = ServerWarmth(self._life)
        self._settle(server)
        server.take(entry)

    def has_all(self) -> None:
        """There is no entry after the cursor: every life that is known has begun."""
        while self._life + 1 < len(self._lives):
            self._end_life()

    def _end_life(self) -> None:
        if self._life != BEFORE_ALL:
            self._ends[self._life] = max(self._lives[self._life].seen_at, self._newest_at)
        self._life += 1
        self._newest_at = 0.0

    def _settle(self, server: ServerWarmth) -> None:
        """Nothing is known of a server from the end of a life until its first entry in the next."""
        if server.life != self._life:
            server.break_off(self._ends.get(server.life, server.heard_at))
            server.life = self._life

    def server(self, name: str) -> ServerWarmth | None:
        """The past of one server, None where nothing is known of it."""
        server = self._servers.get(name)
        if server is not None:
            self._settle(server)
        return server

    def forget(self, horizon: float, present: Collection[str]) -> Iterator[None]:
        """Drop what is older than `horizon` (epoch seconds), and servers not `present` of which nothing is younger.

        One server a step, so that whoever asks for it may rest in between.
        """
        for name, server in list(self._servers.items()):
            if name not in present and server.heard_at < horizon:
                del self._servers[name]
            else:
                server.forget_before(horizon)
            yield

    def __len__(self) -> int:
        return len(self._servers)
