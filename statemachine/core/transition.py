"""One change of state, with its evidence: what the journal keeps, the page shows and the log prints."""

from dataclasses import dataclass

from statemachine.core.vocabulary import Reason, State, Witness


@dataclass(frozen=True, slots=True)
class Transition:
    """`at` is seconds since the epoch; `message` is one sentence for people."""

    server: str
    at: float
    source: State
    dest: State
    reason: Reason
    witness: Witness
    prompt_id: str | None
    message: str
