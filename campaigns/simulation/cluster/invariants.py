"""What is asserted of the daemons of a cluster beyond what is asserted of each."""

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
        accuse: Callable[[str, str], None],
        note: Callable[..., None],
        shared_ledger: SharedLedger,
        engine: WatchedEngine,
        others: Callable[[], Iterable["ClusterInvariants"]],
    ) -> None:
        super().__init__(settings, accuse, lambda name, *what: note(name, node, *what), shared_ledger)
        self.node = node
        self.submits = False
        """Whether it was the last of all nodes to begin with a submission."""
        self._engine, self._others = engine, others

    def note_of(self, *what: object) -> None:
        """A line of the trace about this node."""
        self._note("-", *what)

    @override
    def _attempt_kept(self, attempt: Row) -> None:
        """A node's own copy proves nothing: an attempt is written down where the engine has it."""

    @override
    def _post_leaves(self, name: str, ledger: ServerLedger, body: bytes) -> None:
        super()._post_leaves(name, ledger, body)
        if why := self._engine.forbids(self.node, name):
            self._accuse(name, f"ownership: {self.node} has posted, but {why}")

    @override
    def _mark_submission(self) -> None:
        for invariants in self._others():
            invariants.submits = invariants is self
        super()._mark_submission()
