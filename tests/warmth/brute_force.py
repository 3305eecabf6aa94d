"""The figures computed by brute force, as a reference: each function walks through the whole log."""

from collections.abc import Sequence
from itertools import pairwise

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.rows import DaemonRun

Span = tuple[float, float, State]


def spans(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], server: str, now: float) -> list[Span]:
    """Return the spans of time in which the server's state is known: start, end and state."""
    found: list[Span] = []
    own = [entry for entry in entries if entry.server == server]
    for entry, following in pairwise([*own, None]):
        assert entry is not None
        assert entry.dest is not None
        if following is not None and _run_of(following, runs) == _run_of(entry, runs):
            joined = following.source is entry.dest
            found.append((entry.at, following.at if joined else entry.at, entry.dest))
        else:
            found.append((entry.at, _end_of(entry, entries, runs, now), entry.dest))
    return found


def _run_of(entry: LogEntry, runs: Sequence[DaemonRun]) -> int:
    return sum(run.after_seq < (entry.seq or 0) for run in runs)


def _end_of(entry: LogEntry, entries: Sequence[LogEntry], runs: Sequence[DaemonRun], now: float) -> float:
    run = _run_of(entry, runs)
    if run == len(runs):
        return now
    if run == 0:
        return entry.at
    return max([runs[run - 1].seen_at, *(one.at for one in entries if _run_of(one, runs) == run)])


def warm_share(
    entries: Sequence[LogEntry], runs: Sequence[DaemonRun], servers: Sequence[str], start: float, now: float
) -> float | None:
    """Return seconds loaded divided by seconds watched, from `start` to `now`."""
    warm = watched = 0.0
    for server in servers:
        for begin, end, state in spans(entries, runs, server, now):
            seconds = max(0.0, min(end, now) - max(begin, start))
            watched += seconds if state is not State.PAUSED else 0.0
            warm += seconds if state is State.LOADED else 0.0
    return warm / watched if watched > 0 else None


def _connected_before(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], entry: LogEntry) -> list[LogEntry]:
    """Return the entries before this one, newest first, while each connects to the next in the same run."""
    own = [one for one in entries if one.server == entry.server and (one.seq or 0) < (entry.seq or 0)]
    joined, following = [], entry
    for one in reversed(own):
        if one.dest is not following.source or _run_of(one, runs) != _run_of(entry, runs):
            break
        joined.append(one)
        following = one
    return joined


def evictions(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], start: float, now: float) -> int:
    """Return the number of evictions after `start`."""
    return sum(start < entry.at <= now and _is_eviction(entries, runs, entry) for entry in entries)


def _is_eviction(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], entry: LogEntry) -> bool:
    if entry.dest not in {State.COLD, State.AUTO_EXECUTING}:
        return False
    for one in _connected_before(entries, runs, entry):
        if one.dest is State.LOADED:
            return True
        is_explained = one.reason in {Reason.SERVER_RESTARTED, Reason.LINK_LOST, Reason.SETTINGS_CHANGED}
        if one.dest not in {State.UNKNOWN, State.CHECKING} or is_explained:
            return False
    return False


def times_to_warm(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], start: float, now: float) -> list[float]:
    """Return the times to warm that ended after `start`, in ascending order."""
    ended = [entry for entry in entries if entry.dest is State.LOADED and start < entry.at <= now]
    times = [_time_to_warm(entries, runs, entry) for entry in ended]
    return sorted(time for time in times if time is not None)


def _time_to_warm(entries: Sequence[LogEntry], runs: Sequence[DaemonRun], loaded: LogEntry) -> float | None:
    since: list[LogEntry] = []
    for one in _connected_before(entries, runs, loaded):
        if one.dest in {State.LOADED, State.UNREACHABLE, State.PAUSED}:
            break
        since.insert(0, one)
    for number, one in enumerate(since):
        if one.dest is State.COLD:
            after = [later.reason for later in since[number + 1 :]]
            successes = [at for at, reason in enumerate(after) if reason == Reason.PROMPT_SUCCEEDED]
            undone = [at for at, reason in enumerate(after) if reason in _INEFFECTIVE]
            return loaded.at - one.at if successes and max(successes) > max(undone, default=-1) else None
    return None


_INEFFECTIVE = frozenset({Reason.STILL_COLD_AFTER_SUCCESS, Reason.CACHED_WITHOUT_LOADING})
