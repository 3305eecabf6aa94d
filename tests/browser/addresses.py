"""Fleets of any size without simulated servers: named HOST:PORT, with trouble and long waits."""

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import message, verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, Source, State
from tests.web.site import NOW

HOUR = 3_600.0
PORTS = 4
IN_GROUP = 250
KINDS = (
    (State.FAILED, Reason.OUT_OF_MEMORY, message("wait.retry"), 700.0),
    (State.UNREACHABLE, Reason.NOT_ANSWERING, message("wait.probe"), 12.0),
    (
        State.COLD,
        Reason.KEYS_MISSING,
        message("wait.host_permit", running=8, limit=8, host="192.168.100.144", place=12),
        None,
    ),
    (State.COLD, Reason.CONTESTED, message("wait.contested"), 660.0),
    (State.WARMING, Reason.PROMPT_ACCEPTED, message("wait.warm_up"), 900.0),
    (State.UNKNOWN, Reason.CONTESTED, message("wait.contested_check"), 300.0),
    *[(State.LOADED, Reason.ALL_CACHED, message("wait.check"), 60.0)] * 14,
)
"""Assigned in turn: state, reason, what it waits for, and until when, in seconds."""
TROUBLE = {State.FAILED, State.UNREACHABLE}
MISSING = ("pulid_model", "pulid_eva_clip", "pulid_face_analysis", "ben2_model")


def addressed(count: int) -> list[ServerView]:
    """Return the views of this many servers."""
    return [_view(number) for number in range(count)]


def name_of(number: int) -> str:
    """Return names such as 192.168.100.144:8188, four on each host."""
    host = number // PORTS
    return f"192.168.{100 + host // 250}.{host % 250}:{8188 + number % PORTS}"


def _view(number: int) -> ServerView:
    state, reason, waiting, after_s = KINDS[number % len(KINDS)]
    name = name_of(number)
    return ServerView(
        name,
        f"http://{name}",
        f"rack-{number // IN_GROUP + 1}",
        state,
        NOW - 7_000,
        reason,
        message("check_missing", kind="text", missing=MISSING) if state is State.COLD else verbatim("a sentence"),
        last_check=NOW - 20,
        queue_remaining=3,
        waiting_for=waiting,
        next_action_at=None if after_s is None else NOW + after_s,
        next_action_at_most=state is State.WARMING,
        progress=0.62 if state is State.WARMING else None,
    )


def past_of(name: str) -> list[LogEntry]:
    """Return a past of this server: loaded for three hours, then cold for two."""
    steps = ((5 * HOUR, State.UNKNOWN, State.LOADED), (2 * HOUR, State.LOADED, State.COLD))
    return [
        LogEntry(
            NOW - age, EntryKind.TRANSITION, reason.value, verbatim("m"), name, "rack-1", source, dest, Source.CHECK
        )
        for (age, source, dest), reason in zip(steps, (Reason.ALL_CACHED, Reason.KEYS_MISSING), strict=True)
    ]
