"""Invariants of a cluster in addition to those of each daemon."""

from collections.abc import Callable, Iterable

from typing_extensions import override

from campaigns.simulation.cluster.engine import WatchedEngine
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.ledger import ServerLedger, SharedLedger
from statemachine.journal.rows import Row
from statemachine.settings import Settings


class ClusterInvariants(Invariants):
    """The invariants of one node. `others` returns those of all nodes, including its own."""

    def __init__(
        self,
        node: str,
        settings: Settings,
        fail: Callable[[str, str], None],
        note: Callable[..., None],
        shared_ledger: SharedLedger,
        engine: WatchedEngine,
        others: Callable[[], Iterable["ClusterInvariants"]],
    ) -> None:
        super().__init__(settings, fail, lambda name, *what: note(name, node, *what), shared_ledger)
        self.node = node
        self.submitted_last = False
        """Whether this node was the last to start a submission."""
        self._engine, self._others = engine, others

    def note_node(self, *what: object) -> None:
        """Add an event of this node to the trace."""
        self._note("-", *what)

    @override
    def _attempt_written(self, attempt: Row) -> None:
        """Ignore the node's own copy: only the engine's record commits an attempt."""

    @override
    def _post_leaves(self, name: str, ledger: ServerLedger, body: bytes) -> None:
        super()._post_leaves(name, ledger, body)
        if why := self._engine.submission_error(self.node, name):
            self._fail(name, f"ownership: {self.node} posted although {why}")

    @override
    def _mark_submission(self) -> None:
        for invariants in self._others():
            invariants.submitted_last = invariants is self
        super()._mark_submission()
