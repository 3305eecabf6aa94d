"""Write a made-up week into the journal before the daemon starts, so that figures and timelines have data.

It consists of the entries that the daemon writes: evictions with their warm-ups, some of which fail first.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from uuid import UUID

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message, message
from statemachine.core.server import Attempt, Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import worded
from statemachine.i18n.text import Language
from statemachine.journal.rows import attempt_row
from statemachine.journal.store import JOURNAL_FILE, JournalStore, Write

WEEK_S = 7 * 86_400.0
KEYS = ("pulid_model", "pulid_eva_clip", "pulid_face_analysis", "ben2_model")
CACHED = message("check_complete", kind="text")
WORKFLOW = "cache_models"
WORSE = (1.0, 0.7, 1.3, 2.0, 0.05, 0.5, 1.6, 1.0, 0.12)
"""Factors of the mean time between two evictions, hour by hour."""

Step = tuple[float, State, State, Reason, Source, Message]
"""Seconds after the previous step, from, to, reason, source, message."""


def write_history(
    data_dir: Path, groups: Mapping[str, str], now: float, language: Language = "en", every_s: float = 20_000.0
) -> None:
    """Write a week up to `now` (epoch seconds). `groups`: server → group; `every_s`: mean time between evictions."""
    events = [event for name, group in groups.items() for event in _week(name, group, now, language, every_s)]
    events.sort(key=lambda write: write.entry.at if write.entry else 0.0)
    with closing(JournalStore(data_dir / JOURNAL_FILE)) as store:
        store.write(events)
        store.heartbeat(now)


def _week(name: str, group: str, now: float, language: Language, every_s: float) -> Iterator[Write]:
    """Yield one server's week; the rate of evictions varies by the hour."""
    rng = Random(name)
    at = now - WEEK_S + rng.uniform(0, 600)
    for step in _first_check():
        at += step[0]
        yield Write(_entry(name, group, at, step, None, language), None)
    while (at := at + rng.expovariate(1 / every_s) * WORSE[int(at / 3600) % len(WORSE)] + 60) < now - 1800:
        prompt_id = str(UUID(int=rng.getrandbits(128), version=4))
        began = at
        for step in _warm_up(rng):
            at += step[0]
            yield Write(_entry(name, group, at, step, prompt_id, language), None)
        yield Write(None, attempt_row(_attempt(name, prompt_id, began, at)))


def _first_check() -> list[Step]:
    return [
        (0.0, State.UNKNOWN, State.CHECKING, Reason.CHECK_STARTED, Source.DAEMON, _meaning(Reason.CHECK_STARTED)),
        (0.4, State.CHECKING, State.LOADED, Reason.ALL_CACHED, Source.CHECK, CACHED),
    ]


def _warm_up(rng: Random) -> list[Step]:
    """Return the steps from an eviction to the next `loaded`."""
    missing = message("check_missing", kind="text", missing=KEYS)
    submitting, accepted = (message(code, workflow=WORKFLOW) for code in ("submitting", "workflow_accepted"))
    succeeded, failed = _meaning(Reason.PROMPT_SUCCEEDED), _meaning(Reason.OUT_OF_MEMORY)
    begin: list[Step] = [
        (0.3, State.COLD, State.SUBMITTING, Reason.PERMIT_GRANTED, Source.DAEMON, submitting),
        (0.2, State.SUBMITTING, State.WARMING, Reason.PROMPT_ACCEPTED, Source.REPLY, accepted),
    ]
    load_s = rng.lognormvariate(4.2, 0.6)
    steps: list[Step] = [(0.0, State.LOADED, State.COLD, Reason.KEYS_MISSING, Source.CHECK, missing)]
    if rng.random() < 0.01:
        steps += [*begin, (load_s / 2, State.WARMING, State.FAILED, Reason.OUT_OF_MEMORY, Source.WS, failed)]
        retry = _meaning(Reason.RETRY_DUE)
        steps += [(900.0, State.FAILED, State.UNKNOWN, Reason.RETRY_DUE, Source.DAEMON, retry)]
        started = _meaning(Reason.CHECK_STARTED)
        steps += [(0.1, State.UNKNOWN, State.CHECKING, Reason.CHECK_STARTED, Source.DAEMON, started)]
        steps += [(0.3, State.CHECKING, State.COLD, Reason.KEYS_MISSING, Source.CHECK, missing)]
    return [
        *steps,
        *begin,
        (load_s, State.WARMING, State.CHECKING, Reason.PROMPT_SUCCEEDED, Source.WS, succeeded),
        (0.4, State.CHECKING, State.LOADED, Reason.ALL_CACHED, Source.CHECK, CACHED),
    ]


def _meaning(reason: Reason) -> Message:
    return message(f"reason.{reason.value}")


def _entry(name: str, group: str, at: float, step: Step, prompt_id: str | None, language: Language) -> LogEntry:
    _, source, dest, reason, proved_by, what = step
    entry = LogEntry(
        at, EntryKind.TRANSITION, reason.value, worded(what, language), name, group, source, dest, proved_by
    )
    return entry._replace(prompt_id=prompt_id) if dest is not State.COLD else entry


def _attempt(name: str, prompt_id: str, began: float, ended: float) -> Attempt:
    attempt = Attempt(name, WORKFLOW, prompt_id, began, outcome=Outcome.SUCCEEDED, accepted_at=began + 0.5)
    attempt.ended_at, attempt.confirmed_by = ended, Source.WS
    return attempt
