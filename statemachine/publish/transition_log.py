"""The program's log of transitions: one line each, at a level that depends on whether the verdict has changed.

A check that confirms the verdict and repeated attempts on a failing server are logged at DEBUG. The journal and `tail`
contain every transition.
"""

from loguru import logger

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence

BAD = frozenset({State.FAILED, State.UNREACHABLE})
PASSING = frozenset({State.UNKNOWN, State.CHECKING, State.SUBMITTING})
"""Short-lived states on the way to a verdict."""


class TransitionLog:
    """Logs transitions and remembers the last logged verdict of each server."""

    def __init__(self) -> None:
        self._verdicts: dict[str, tuple[State | None, str]] = {}
        self._failing: set[str] = set()

    def write(self, entry: LogEntry) -> None:
        """Log an entry at the level of its importance."""
        source = entry.source.value if entry.source else "-"
        dest = entry.dest.value if entry.dest else "-"
        line = f"{entry.server or '-'}: {source} -> {dest} ({entry.reason}) {sentence(entry.message)}"
        logger.bind(seq=entry.seq).log(self._level(entry), "{}", line)

    def _level(self, entry: LogEntry) -> str:
        if entry.server is None:
            return "WARNING"
        bad = entry.dest in BAD or entry.reason == Reason.CHECK_UNRECOGNISED
        if entry.dest in PASSING and not bad:
            routine = entry.reason in (Reason.CHECK_STARTED, Reason.FOREIGN_WORK_FINISHED)
            return "DEBUG" if routine or entry.server in self._failing else "INFO"
        return self._verdict_level(entry.server, (entry.dest, entry.reason), bad=bad)

    def _verdict_level(self, server: str, verdict: tuple[State | None, str], *, bad: bool) -> str:
        if bad:
            known, self._verdicts[server] = self._verdicts.get(server), verdict
            self._failing.add(server)
            return "DEBUG" if known == verdict else "WARNING"
        if server in self._failing and verdict[0] is not State.LOADED:
            return "DEBUG"
        known, self._verdicts[server] = self._verdicts.get(server), verdict
        self._failing.discard(server)
        return "DEBUG" if known == verdict else "INFO"
