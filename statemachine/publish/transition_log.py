"""One log line for each transition, as loud as it is news.

A changed verdict is news. A check that ends where it began is not, nor is the next fruitless round of a bad server:
such lines are for DEBUG. The journal and `tail` have them all.
"""

from loguru import logger

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State

BAD = frozenset({State.FAILED, State.UNREACHABLE})
PASSING = frozenset({State.UNKNOWN, State.CHECKING, State.SUBMITTING})
"""States that are left again at once, on the way to a verdict."""


class TransitionLog:
    """Remembers the last verdict that each server was reported with."""

    def __init__(self) -> None:
        self._verdicts: dict[str, tuple[State | None, str]] = {}
        self._in_trouble: set[str] = set()

    def write(self, entry: LogEntry) -> None:
        """Write the line at the level that it deserves."""
        source = entry.source.value if entry.source else "-"
        dest = entry.dest.value if entry.dest else "-"
        line = f"{entry.server or '-'}: {source} -> {dest} ({entry.reason}) {entry.message}"
        logger.bind(seq=entry.seq).log(self._level(entry), "{}", line)

    def _level(self, entry: LogEntry) -> str:
        if entry.server is None:
            return "WARNING"
        bad = entry.dest in BAD or entry.reason == Reason.CHECK_UNRECOGNISED
        if entry.dest in PASSING and not bad:
            routine = entry.reason in (Reason.CHECK_STARTED, Reason.FOREIGN_WORK_FINISHED)
            return "DEBUG" if routine or entry.server in self._in_trouble else "INFO"
        return self._verdict_level(entry.server, (entry.dest, entry.reason), bad=bad)

    def _verdict_level(self, server: str, verdict: tuple[State | None, str], *, bad: bool) -> str:
        if bad:
            known, self._verdicts[server] = self._verdicts.get(server), verdict
            self._in_trouble.add(server)
            return "DEBUG" if known == verdict else "WARNING"
        if server in self._in_trouble and verdict[0] is not State.LOADED:
            return "DEBUG"
        known, self._verdicts[server] = self._verdicts.get(server), verdict
        self._in_trouble.discard(server)
        return "DEBUG" if known == verdict else "INFO"
