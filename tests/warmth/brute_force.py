"""The same figures by the slowest and plainest way: for every question the whole log is walked through."""

from collections.abc import Sequence
from itertools import pairwise

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.rows import DaemonRun

Span = tuple[float, float, State]


def spans(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], server: str, now: float) -> list[Span]:
    """From when to when the server is known to have been in which state."""
    found: list[Span] = []
    own = [entry for entry in entries if entry.server == server]
    for entry, following in pairwise([*own, None]):
        assert entry is not None
        assert entry.dest is not None
        if following is not None and _life(following, lives) == _life(entry, lives):
            joined = following.source is entry.dest
            found.append((entry.at, following.at if joined else entry.at, entry.dest))
        else:
            found.append((entry.at, _end_of(entry, entries, lives, now), entry.dest))
    return found


def _life(entry: LogEntry, lives: Sequence[DaemonRun]) -> int:
    return sum(life.after_seq < (entry.seq or 0) for life in lives)


def _end_of(entry: LogEntry, entries: Sequence[LogEntry], lives: Sequence[DaemonRun], now: float) -> float:
    life = _life(entry, lives)
    if life == len(lives):
        return now
    if life == 0:
        return entry.at
    return max([lives[life - 1].seen_at, *(one.at for one in entries if _life(one, lives) == life)])


def warm_share(
    entries: Sequence[LogEntry], lives: Sequence[DaemonRun], servers: Sequence[str], start: float, now: float
) -> float | None:
    """Seconds loaded by seconds watched, of some servers, from `start` to `now`."""
    warm = watched = 0.0
    for server in servers:
        for begin, end, state in spans(entries, lives, server, now):
            seconds = max(0.0, min(end, now) - max(begin, start))
            watched += seconds if state is not State.PAUSED else 0.0
            warm += seconds if state is State.LOADED else 0.0
    return warm / watched if watched > 0 else None


def _past(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], entry: LogEntry) -> list[LogEntry]:
    """The server's entries before this one, newest first, as far as each joins the next in the same life."""
    own = [one for one in entries if one.server == entry.server and (one.seq or 0) < (entry.seq or 0)]
    joined, following = [], entry
    for one in reversed(own):
        if one.dest is not following.source or _life(one, lives) != _life(entry, lives):
            break
        joined.append(one)
        following = one
    return joined


def evictions(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], start: float, now: float) -> int:
    """How many after `start`."""
    return sum(start < entry.at <= now and _is_eviction(entries, lives, entry) for entry in entries)


def _is_eviction(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], entry: LogEntry) -> bool:
    if entry.dest not in {State.COLD, State.AUTO_EXECUTING}:
        return False
    for one in _past(entries, lives, entry):
        if one.dest is State.LOADED:
            return True
        innocent = one.reason in {Reason.SERVER_RESTARTED, Reason.LINK_LOST, Reason.SETTINGS_CHANGED}
        if one.dest not in {State.UNKNOWN, State.CHECKING} or innocent:
            return False
    return False


def times_to_warm(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], start: float, now: float) -> list[float]:
    """Those that ended after `start`, ascending."""
    ended = [entry for entry in entries if entry.dest is State.LOADED and start < entry.at <= now]
    times = [_time_to_warm(entries, lives, entry) for entry in ended]
    return sorted(time for time in times if time is not None)


def _time_to_warm(entries: Sequence[LogEntry], lives: Sequence[DaemonRun], loaded: LogEntry) -> float | None:
    since: list[LogEntry] = []
    for one in _past(entries, lives, loaded):
        if one.dest in {State.LOADED, State.UNREACHABLE, State.PAUSED}:
            break
        since.insert(0, one)
    for number, one in enumerate(since):
        if one.dest is State.COLD:
            after = [later.reason for later in since[number + 1 :]]
            successes = [at for at, reason in enumerate(after) if reason == Reason.PROMPT_SUCCEEDED]
            undone = [at for at, reason in enumerate(after) if reason in _FRUITLESS]
            return loaded.at - one.at if successes and max(successes) > max(undone, default=-1) else None
    return None


_FRUITLESS = frozenset({Reason.STILL_COLD_AFTER_SUCCESS, Reason.CACHED_WITHOUT_LOADING})
