"""The log entry of a transition."""

from statemachine.core.log_entry import EntryKind, Transition, entry_of
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence


def test_entry_of_transition_copies_its_fields() -> None:
    one = Transition("a", 5.0, State.COLD, State.SUBMITTING, Reason.PERMIT_GRANTED, Source.QUEUE, "p", verbatim("go"))
    entry = entry_of(one, "lab", one.message)
    assert (entry.kind, entry.reason, entry.server, entry.group) == (
        EntryKind.TRANSITION,
        "permit_granted",
        "a",
        "lab",
    )
    assert (entry.source, entry.dest, entry.proved_by) == (State.COLD, State.SUBMITTING, Source.QUEUE)
    assert (entry.at, entry.prompt_id, sentence(entry.message), entry.seq) == (5.0, "p", "go", None)
    assert entry.numbered(7).seq == 7
