"""The machine: the table, run by the library `transitions`.

It is a flat, synchronous `Machine` with pure callbacks, shared by all servers, whose models are not registered with it:
measured on transitions 0.9.3 that costs nothing per model, cannot swallow a cancellation and cannot interleave.
"""

from collections.abc import Mapping
from functools import partial

from transitions import EventData
from transitions import Machine as TransitionsMachine

from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import Transition
from statemachine.core.reducers import learn
from statemachine.core.server import Server
from statemachine.core.table import TABLE, Row
from statemachine.core.transition_messages import transition_message
from statemachine.core.vocabulary import IN_FLIGHT, Source, State

ROWS: Mapping[type, Mapping[State, tuple[Row, ...]]] = {
    event: {state: tuple(row for row in TABLE if row.event is event and row.source is state) for state in State}
    for event in {row.event for row in TABLE}
}
"""What can move a server, by event and state. Most frames only teach."""


class Machine:
    """Move servers by the table. It holds no state of any server."""

    def __init__(self) -> None:
        self._library = TransitionsMachine(
            model=None, states=State, initial=State.UNKNOWN, auto_transitions=False, send_event=True
        )
        for row in TABLE:
            self._library.add_transition(
                row.event.__name__,
                row.source,
                row.dest,
                conditions=[] if row.guard is None else [partial(_holds, row)],
                after=[partial(_record, row)],
            )

    def apply(self, server: Server, event: events.Event, at: float) -> list[Transition]:
        """Teach `server` the event, seen at `at` (epoch seconds), and move it: the transitions that this made.

        There is more than one where an answer releases the end of a prompt that had overtaken it.
        """
        made = self._step(server, event, at)
        attempt = server.open_attempt
        if attempt is not None and attempt.early_end is not None and server.state is not State.SUBMITTING:
            end, attempt.early_end = attempt.early_end, None
            made += self._step(server, end, at)
        return made

    def _step(self, server: Server, event: events.Event, at: float) -> list[Transition]:
        made: list[Transition] = []
        learn(event, server, at)
        if _can_move(server, event):
            self._library.events[type(event).__name__].trigger(server, event, at, made)
        return made


def _can_move(server: Server, event: events.Event) -> bool:
    """Whether a row holds. The library would find out by itself, but a trigger that moves nothing costs 10 µs."""
    rows = ROWS.get(type(event))
    for row in rows[server.state] if rows is not None else ():
        if row.guard is None or row.guard(server, event):
            return True
    return False


def _server_of(data: EventData) -> Server:
    assert isinstance(data.model, Server)  # noqa: S101 - the library's type for a model is `object`
    return data.model


def _holds(row: Row, data: EventData) -> bool:
    assert row.guard is not None  # noqa: S101 - only rows with a guard get this condition
    server = _server_of(data)
    event, _, _ = data.args
    return row.guard(server, event)


def _record(row: Row, data: EventData) -> None:
    """Write the transition's evidence into the server and into the list of what was made."""
    server = _server_of(data)
    event, at, made = data.args
    reason = row.reason or event.reason
    witness: Source = row.witness or event.witness
    server.since, server.reason, server.witness = at, reason, witness
    server.message = transition_message(event, server, reason)
    attempt = server.attempt
    prompt_id = attempt.prompt_id if attempt is not None and _speaks_of(attempt, row, event) else None
    made.append(Transition(server.name, at, row.source, row.dest, reason, witness, prompt_id, server.message))


def _speaks_of(attempt: Attempt, row: Row, event: object) -> bool:
    """Whether the transition is about our prompt: it is in flight, was until now, or the event names it."""
    in_flight = attempt.is_open or not {row.source, row.dest}.isdisjoint(IN_FLIGHT)
    return in_flight or attempt.is_about(getattr(event, "prompt_id", ""))
