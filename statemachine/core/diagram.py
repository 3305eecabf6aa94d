"""The machine as a picture: Mermaid, drawn from the very table that it runs on."""

from collections import defaultdict

from statemachine.core.table import TABLE
from statemachine.core.vocabulary import NOTICE_MEANINGS, REASON_MEANINGS, STATE_MEANINGS, Reason, Source, State


def mermaid() -> str:
    """A `stateDiagram-v2`: one arrow for each pair of states, labelled with its reasons."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.UNKNOWN.value}"]
    lines += [
        f"    {source.value} --> {dest.value}: {', '.join(reasons)}" for (source, dest), reasons in _arrows().items()
    ]
    return "\n".join(lines)


def markdown() -> str:
    """docs/states.md: the diagram, then every state, reason and witness with its meaning."""
    return "\n".join(
        [
            "# States and reasons",
            "",
            "Generated from `statemachine/core/table.py` by `make docs`; a test holds it current.",
            "",
            "```mermaid",
            mermaid(),
            "```",
            "",
            *_table("state", {state.value: meaning for state, meaning in STATE_MEANINGS.items()}),
            *_table("reason", {reason.value: meaning for reason, meaning in REASON_MEANINGS.items()}),
            *_table("notice", {notice.value: meaning for notice, meaning in NOTICE_MEANINGS.items()}),
            "Who proved it: " + ", ".join(f"`{witness.value}`" for witness in Source) + ".",
        ]
    )


def _arrows() -> dict[tuple[State, State], list[str]]:
    """Pauses are left out: they would lead from every state to `paused` and hide the rest."""
    arrows: dict[tuple[State, State], list[str]] = defaultdict(list)
    for row in TABLE:
        label = row.reason.value if row.reason else "the diagnosis"
        if row.reason is not Reason.PAUSE_REQUESTED and label not in arrows[row.source, row.dest]:
            arrows[row.source, row.dest].append(label)
    return {pair: labels for pair, labels in arrows.items() if labels}


def _table(title: str, rows: dict[str, str]) -> list[str]:
    return [
        f"| {title} | meaning |",
        "| --- | --- |",
        *(f"| `{name}` | {meaning} |" for name, meaning in rows.items()),
        "",
    ]
