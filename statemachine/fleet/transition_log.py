"""One log line for each transition. A server that stays bad is loud once; its fruitless rounds are for DEBUG."""

from loguru import logger

from statemachine.core.log import LogEntry
from statemachine.core.vocabulary import Reason, State

BAD = frozenset({State.FAILED, State.UNREACHABLE})
GOOD = frozenset({State.LOADED, State.AUTO_EXECUTING, State.PAUSED})


class TransitionLog:
    """Remembers, for each server in trouble, what the trouble was."""

    def __init__(self) -> None:
        self._trouble: dict[str, tuple[State | None, str]] = {}

    def write(self, entry: LogEntry) -> None:
        """Write the line at the level that it deserves."""
        source = entry.source.value if entry.source else "-"
        dest = entry.dest.value if entry.dest else "-"
        line = f"{entry.server or '-'}: {source} -> {dest} ({entry.reason}) {entry.message}"
        logger.bind(seq=entry.seq).log(self._level(entry), "{}", line)

    def _level(self, entry: LogEntry) -> str:
        if entry.server is None:
            return "WARNING"
        if entry.dest in GOOD:
            self._trouble.pop(entry.server, None)
            return "INFO"
        if entry.dest in BAD or entry.reason == Reason.CHECK_UNRECOGNISED:
            trouble = (entry.dest, entry.reason)
            known, self._trouble[entry.server] = self._trouble.get(entry.server), trouble
            return "DEBUG" if known == trouble else "WARNING"
        return "DEBUG" if entry.server in self._trouble else "INFO"
