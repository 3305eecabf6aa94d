"""`schema` and `diagram`: documents generated from the code."""

from collections import defaultdict
from typing import Annotated

import orjson
import typer

from statemachine.core.table import TABLE
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.reasons import NOTICE_MEANINGS, REASON_MEANINGS
from statemachine.i18n.states import STATE_MEANINGS, WAITS
from statemachine.settings import json_schema

WAITING = """What a server waits for: the fields `waiting_for` and `waiting_for_code`. `next_action_at` is the time at
which the daemon acts on it next, or, if `next_action_at_most`, at the latest; null if it is not known. A change of
these is not a transition.
"""


def mermaid() -> str:
    """Return a `stateDiagram-v2` with an arrow for each pair of states, labelled with its reasons."""
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


def schema() -> None:
    """Print the JSON Schema of settings.json, for editors."""
    typer.echo(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode())


def diagram(
    markdown: Annotated[bool, typer.Option("--markdown")] = False,
) -> None:
    """Print the state machine's table as a Mermaid diagram."""
    typer.echo(states_page() if markdown else mermaid())


def states_page() -> str:
    """Return docs/states.md: the diagram, then every state, reason and notice with its meaning."""
    return "\n".join(
        [
            "# States and reasons",
            "",
            "Generated from `statemachine/core/table.py` by `make docs`; a test keeps it up to date.",
            "",
            "```mermaid",
            mermaid(),
            "```",
            "",
            f"Not in the diagram: `{Reason.PAUSE_REQUESTED.value}`, from every other state to `{State.PAUSED.value}`.",
            "",
            *_table("state", {state.value: text.en for state, text in STATE_MEANINGS.items()}),
            *_table("reason", {reason.value: text.en for reason, text in REASON_MEANINGS.items()}),
            *_table("notice", {notice.value: text.en for notice, text in NOTICE_MEANINGS.items()}),
            WAITING,
            *_table("waiting_for_code", {code: text.en for code, text in WAITS.items()}),
            "Sources (`proved_by`): " + ", ".join(f"`{source.value}`" for source in Source) + ".",
        ]
    )


def _table(title: str, rows: dict[str, str]) -> list[str]:
    return [
        f"| {title} | meaning |",
        "| --- | --- |",
        *(f"| `{name}` | {meaning} |" for name, meaning in rows.items()),
        "",
    ]
