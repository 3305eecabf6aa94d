"""Rules for the frames of /ws: each sign of a change must end `loaded` at once."""

import asyncio
from collections.abc import Callable

from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.observations import (
    ENDS,
    figures_in,
    has_keys,
    latest_position,
    position_in,
    remaining_in,
    shows_below,
)
from campaigns.simulation.rules import now
from statemachine.core.vocabulary import State

PROGRESS = tuple(f'{{"type": "{kind}"' for kind in ("executing", "progress_state", "execution_cached"))


class FrameRules:
    """Record what frames show. `fail` and `note` are those of the invariants, `next_tick` counts an event."""

    def __init__(
        self, fail: Callable[[str, str], None], note: Callable[..., None], next_tick: Callable[[], int]
    ) -> None:
        self._fail, self._note, self._next_tick = fail, note, next_tick

    def delivered(self, name: str, ledger: ServerLedger, client_id: str, frame: str) -> None:
        """Record a text frame to the daemon."""
        if frame.startswith('{"type": "status"'):
            self._status(name, ledger, client_id, frame)
        elif frame.startswith('{"type": "comfywarm.cache"'):
            self._cache_frame(name, ledger, frame)
        elif ledger.mentions_prompt(frame):
            self._frame_of_ours(name, ledger, frame)

    def _status(self, name: str, ledger: ServerLedger, client_id: str, frame: str) -> None:
        remaining = remaining_in("/ws", frame)
        if remaining is None:
            return
        self._note(name, "status frame", remaining)
        before, ledger.remaining = ledger.remaining, remaining
        if remaining == 0:
            ledger.auto_executing = False
        if ledger.link != client_id:
            ledger.link, ledger.own_decreases, ledger.auto_executing = client_id, 0, False
            if ledger.was_linked or ledger.dialled > 1:
                self.note_change(name, ledger, "the link was opened")
            ledger.was_linked = True
        elif before is not None and remaining < before:
            foreign = before - remaining - ledger.own_decreases
            ledger.own_decreases = max(0, -foreign)
            if foreign > 0:
                self.note_change(name, ledger, f"the queue fell from {before} to {remaining}")

    def _cache_frame(self, name: str, ledger: ServerLedger, frame: str) -> None:
        """Record a change if a frame of the companion node may mean a lost key or models below the wanted level."""
        self._note(name, "frame", frame[27:])
        known, received = ledger.companion, position_in(frame)
        if known is None or latest_position(known, received) == known:
            return
        ledger.companion = received
        gap = known[0] != received[0] or (known[1] is not None and received[1] != known[1] + 1)
        if has_keys(frame):
            ledger.auto_executing = False
        if gap or not has_keys(frame) or shows_below(frame, ledger.plan.warm):
            self.note_change(name, ledger, f"the companion node sent {received} after {known}")

    def _frame_of_ours(self, name: str, ledger: ServerLedger, frame: str) -> None:
        if frame.startswith(PROGRESS) and (ledger.knows_server_prompt or ledger.prompt in frame):
            ledger.note_figures(figures_in(frame), now())
        for mark, end in ENDS.items():
            if frame.startswith(f'{{"type": "{mark}"'):
                self._note(name, "frame", mark, ledger.prompt)
                ledger.confirmed.setdefault(ledger.prompt, set()).add(end)
                if ledger.prompt not in ledger.ended:
                    ledger.ended.add(ledger.prompt)
                    ledger.own_decreases += 1

    def note_change(self, name: str, ledger: ServerLedger, what: str) -> None:
        """Invalidate earlier checks; the daemon must leave `loaded` immediately."""
        self._note(name, "change:", what)
        change = ledger.last_change = self._next_tick()

        def check_not_loaded() -> None:
            if ledger.state is State.LOADED and ledger.loaded < change:
                self._fail(name, f"unconfirmed loaded: still loaded although {what}")

        asyncio.get_running_loop().call_soon(check_not_loaded)
