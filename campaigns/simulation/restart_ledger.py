"""What the servers have shown around restarts, and the restarts that the journal has stored."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from campaigns.simulation.disk import DiskWatcher
from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.restart_rules import RestartRules, SavedRestart
from campaigns.simulation.restart_times import Moment
from statemachine.core.restart import RestartCause, RestartStage
from statemachine.journal.restart_rows import RESTART_COLUMNS
from statemachine.journal.rows import Row
from statemachine.journal.store import Write


@dataclass
class RestartLedger:
    """What the servers have shown. `step` is set at each step of a restart."""

    empty_at: dict[str, float] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    """Servers that did not answer when their restart was requested."""
    processes: dict[str, object] = field(default_factory=dict)
    """Restart → the server's process when its hook began, if it was up."""
    step: asyncio.Event = field(default_factory=asyncio.Event)

    def take_step(self) -> None:
        """Wake a crash that waits for a step of a restart."""
        self.step.set()
        self.step.clear()


class RestartWatcher:
    """Passes the writes on, and hands the restarts that are stored to the rules."""

    def __init__(
        self,
        inner: DiskWatcher,
        ledger: RestartLedger,
        rules: RestartRules,
        now: Callable[[], Moment],
        servers: Mapping[str, ServerLedger],
    ) -> None:
        self._inner, self._ledger, self._rules, self._now = inner, ledger, rules, now
        self._servers = servers

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None:
        """Note each restart that is stored."""
        self._inner.committed(batch, numbers)
        for write in batch:
            if write.restart is not None:
                self._stored(saved_restart(write.restart))

    def _stored(self, restart: SavedRestart) -> None:
        """Check it. Once its hook is recorded, it may run and end our prompt, which is then no failed warm-up."""
        self._rules.stored(restart, self._now())
        if restart.stage is RestartStage.HOOK:
            server = self._servers[restart.server]
            server.excused.add(server.prompt)
        self._ledger.take_step()

    def write_failed(self) -> None:
        """Pass a failed write on."""
        self._inner.write_failed()


def saved_restart(row: Row) -> SavedRestart:
    """Return what the rules need of a row of the journal."""
    values = dict(zip(RESTART_COLUMNS, row, strict=True))
    return SavedRestart(
        values["server"],
        values["id"],
        RestartCause(values["cause"]),
        RestartStage(values["stage"]),
        values["requested_at"],
        values["hook_started_at"],
        values["ended_at"],
    )
