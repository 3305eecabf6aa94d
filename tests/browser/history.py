"""Write a made-up week into the journal before the daemon starts, so that figures and timelines have data.

It consists of the entries that the daemon writes: evictions with their warm-ups, some of which fail first.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from uuid import UUID

from statemachine.core.attempt import Attempt, Outcome
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import PHRASES, Language
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.rows import attempt_row
from statemachine.journal.store import JOURNAL_FILE, JournalStore, Write

WEEK_S = 7 * 86_400.0
KEYS = "pulid_model, pulid_eva_clip, pulid_face_analysis, ben2_model"
WORKFLOW = "cache_models"
WORSE = (1.0, 0.7, 1.3, 2.0, 0.05, 0.5, 1.6, 1.0, 0.12)
"""Factors of the mean time between two evictions, hour by hour."""

Step = tuple[float, State, State, Reason, Source, str]
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
    for step in _first_check(language):
        at += step[0]
        yield Write(_entry(name, group, at, step, None), None)
    while (at := at + rng.expovariate(1 / every_s) * WORSE[int(at / 3600) % len(WORSE)] + 60) < now - 1800:
        prompt_id = str(UUID(int=rng.getrandbits(128), version=4))
        began = at
        for step in _warm_up(rng, language):
            at += step[0]
            yield Write(_entry(name, group, at, step, prompt_id), None)
        yield Write(None, attempt_row(_attempt(name, prompt_id, began, at)))


def _first_check(language: Language) -> list[Step]:
    phrases = PHRASES[language]
    cached = phrases.all_cached.format(kind="text")
    started = phrases.meanings[Reason.CHECK_STARTED]
    return [
        (0.0, State.UNKNOWN, State.CHECKING, Reason.CHECK_STARTED, Source.DAEMON, started),
        (0.4, State.CHECKING, State.LOADED, Reason.ALL_CACHED, Source.CHECK, cached),
    ]


def _warm_up(rng: Random, language: Language) -> list[Step]:
    """Return the steps from an eviction to the next `loaded`."""
    phrases = PHRASES[language]
    missing, cached = phrases.missing.format(kind="text", missing=KEYS), phrases.all_cached.format(kind="text")
    submitting, accepted = (text.format(workflow=WORKFLOW) for text in (phrases.submitting, phrases.accepted))
    succeeded = phrases.meanings[Reason.PROMPT_SUCCEEDED]
    failed = phrases.meanings[Reason.OUT_OF_MEMORY]
    begin: list[Step] = [
        (0.3, State.COLD, State.SUBMITTING, Reason.PERMIT_GRANTED, Source.DAEMON, submitting),
        (0.2, State.SUBMITTING, State.WARMING, Reason.PROMPT_ACCEPTED, Source.REPLY, accepted),
    ]
    load_s = rng.lognormvariate(4.2, 0.6)
    steps: list[Step] = [(0.0, State.LOADED, State.COLD, Reason.KEYS_MISSING, Source.CHECK, missing)]
    if rng.random() < 0.01:
        steps += [*begin, (load_s / 2, State.WARMING, State.FAILED, Reason.OUT_OF_MEMORY, Source.WS, failed)]
        retry = phrases.meanings[Reason.RETRY_DUE]
        steps += [(900.0, State.FAILED, State.UNKNOWN, Reason.RETRY_DUE, Source.DAEMON, retry)]
        started = phrases.meanings[Reason.CHECK_STARTED]
        steps += [(0.1, State.UNKNOWN, State.CHECKING, Reason.CHECK_STARTED, Source.DAEMON, started)]
        steps += [(0.3, State.CHECKING, State.COLD, Reason.KEYS_MISSING, Source.CHECK, missing)]
    return [
        *steps,
        *begin,
        (load_s, State.WARMING, State.CHECKING, Reason.PROMPT_SUCCEEDED, Source.WS, succeeded),
        (0.4, State.CHECKING, State.LOADED, Reason.ALL_CACHED, Source.CHECK, cached),
    ]


def _entry(name: str, group: str, at: float, step: Step, prompt_id: str | None) -> LogEntry:
    _, source, dest, reason, proved_by, message = step
    entry = LogEntry(at, EntryKind.TRANSITION, reason.value, message, name, group, source, dest, proved_by)
    return entry._replace(prompt_id=prompt_id) if dest is not State.COLD else entry


def _attempt(name: str, prompt_id: str, began: float, ended: float) -> Attempt:
    attempt = Attempt(name, WORKFLOW, prompt_id, began, outcome=Outcome.SUCCEEDED, accepted_at=began + 0.5)
    attempt.ended_at, attempt.confirmed_by = ended, Source.WS
    return attempt
