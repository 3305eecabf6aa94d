"""The machine as a Mermaid diagram, drawn from the table that it runs on."""

from collections import defaultdict

from statemachine.core.table import TABLE
from statemachine.core.vocabulary import Reason, State


def mermaid() -> str:
    """A `stateDiagram-v2`: one arrow for each pair of states, labelled with its reasons."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.UNKNOWN.value}"]
    lines += [
        f"    {source.value} --> {dest.value}: {', '.join(reasons)}" for (source, dest), reasons in _arrows().items()
    ]
    return "\n".join(lines)


def _arrows() -> dict[tuple[State, State], list[str]]:
    """Pauses are left out: they would lead from every state to `paused` and hide the rest."""
    arrows: dict[tuple[State, State], list[str]] = defaultdict(list)
    for row in TABLE:
        label = row.reason.value if row.reason else "the diagnosis"
        if row.reason is not Reason.PAUSE_REQUESTED and label not in arrows[row.source, row.dest]:
            arrows[row.source, row.dest].append(label)
    return {pair: labels for pair, labels in arrows.items() if labels}
