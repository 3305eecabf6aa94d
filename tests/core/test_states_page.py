"""The generated page of states, and its diagram."""

from statemachine.cli.docs import mermaid, states_page
from statemachine.core.vocabulary import Reason, Source, State


def test_states_page_covers_every_state_and_reason() -> None:
    diagram, page = mermaid(), states_page()
    assert all(f"--> {state.value}:" in diagram for state in State if state is not State.PAUSED)
    assert "loaded --> submitting" not in diagram
    assert "auto_executing --> submitting" not in diagram
    assert all(f"| `{word.value}` |" in page for word in (*State, *Reason))
    assert all(f"`{proved_by.value}`" in page for proved_by in Source)
