"""The machine: the library `transitions` runs the table.

It is a flat, synchronous `Machine` with pure callbacks, shared by all servers. Servers are never registered with it:
measured on transitions 0.9.3, a server then takes no memory there, no cancellation is swallowed and no callbacks
interleave.
"""

from collections.abc import Mapping
from functools import partial
from typing import cast

from transitions import Event as Trigger
from transitions import EventData
from transitions import Machine as TransitionsMachine

from statemachine.core import events
from statemachine.core.duties import WAITS, waiting_of
from statemachine.core.log_entry import Transition
from statemachine.core.pause import NO_PAUSE
from statemachine.core.prompt_reducers import take_early
from statemachine.core.reducers import REDUCERS
from statemachine.core.server import Attempt, Server
from statemachine.core.table import TABLE, Row
from statemachine.core.transition_messages import transition_message
from statemachine.core.vocabulary import IN_FLIGHT, Source, State

ROWS: Mapping[type, Mapping[State, tuple[Row, ...]]] = {
    event: {state: tuple(row for row in TABLE if row.event is event and row.source is state) for state in State}
    for event in {row.event for row in TABLE}
}
"""The rows that can move a server, by event and state. Most frames match none and never reach the library."""


class Machine:
    """Move servers by the table. It holds no state of any server."""

    def __init__(self) -> None:
        library = TransitionsMachine(
            model=None, states=State, initial=State.UNKNOWN, auto_transitions=False, send_event=True
        )
        for number, row in enumerate(TABLE):
            library.add_transition(f"row {number}", row.source, row.dest, after=[partial(_record, row)])
        self._triggers: Mapping[Row, Trigger] = {
            row: library.events[f"row {number}"] for number, row in enumerate(TABLE)
        }

    def apply(self, server: Server, event: events.Event, at: float) -> list[Transition]:
        """Reduce an event, observed at `at` (epoch seconds), and move the server; return the transitions made.

        There are two if an answer releases the end of a prompt that had overtaken it.
        """
        made: list[Transition] = []
        self._apply(server, event, at, made)
        for early in take_early(server):
            self._apply(server, early, at, made)
        return made

    def _apply(self, server: Server, event: events.Event, at: float, made: list[Transition]) -> None:
        if (reduce := REDUCERS.get(type(event))) is not None:
            reduce(event, server, at)
        if (row := _matching_row(server, event)) is not None:
            self._triggers[row].trigger(server, event, at, made)


def _matching_row(server: Server, event: events.Event) -> Row | None:
    """Return the first row whose guard holds."""
    rows = ROWS.get(type(event))
    for row in rows[server.state] if rows is not None else ():
        if row.guard is None or row.guard(server, event):
            return row
    return None


def _record(row: Row, data: EventData) -> None:
    """Store the transition's reason and source in the server, and append the transition to the result."""
    server = cast(Server, data.model)
    event, at, made = data.args
    reason = row.reason or event.reason
    proved_by: Source = row.proved_by or event.proved_by
    if row.dest is not row.source:
        server.since, server.waiting = at, WAITS[row.dest]
        server.pause = NO_PAUSE
    if isinstance(event, events.PauseRequested):
        server.pause = event.pause
        server.waiting = waiting_of(server.pause)
    server.reason, server.proved_by = reason, proved_by
    server.message = transition_message(event, server, reason)
    if server.restart is not None:
        server.restart = server.restart.after(row.dest, reason, server.message, at)
    attempt = server.attempt
    prompt_id = attempt.prompt_id if attempt is not None and _concerns(attempt, row, event) else None
    made.append(Transition(server.name, at, row.source, row.dest, reason, proved_by, prompt_id, server.message))


def _concerns(attempt: Attempt, row: Row, event: object) -> bool:
    """Return whether the transition is about our prompt: it is in flight, was until now, or the event names it."""
    in_flight = attempt.is_open or not {row.source, row.dest}.isdisjoint(IN_FLIGHT)
    return in_flight or attempt.is_about(getattr(event, "prompt_id", ""))
