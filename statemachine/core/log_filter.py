"""Which part of the event log somebody wants to read: the same choice for the API, the stream and `tail`."""

from dataclasses import dataclass

from statemachine.core.vocabulary import Notice, Reason, State

STATE_NAMES = tuple(state.value for state in State)
REASON_CODES = tuple(sorted({*(reason.value for reason in Reason), *(notice.value for notice in Notice)}))


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Each empty member lets everything pass; of one that is not, an entry must have one. All members must agree.

    `states` are those that transitions lead to. A notice has neither group nor state, and most have no server.
    """

    servers: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    states: frozenset[State] = frozenset()
    reasons: frozenset[str] = frozenset()

    def passes(self, server: str | None, group: str | None, state: State | None, reason: str | None) -> bool:
        """Whether something with these marks is wanted."""
        return (
            (not self.servers or server in self.servers)
            and (not self.groups or group in self.groups)
            and (not self.states or state in self.states)
            and (not self.reasons or reason in self.reasons)
        )


EVERYTHING = LogFilter()
