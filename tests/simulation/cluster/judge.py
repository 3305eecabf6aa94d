"""What is asserted of the daemons of a cluster beyond what is asserted of each."""

from collections.abc import Callable, Iterable

from typing_extensions import override

from statemachine.journal.rows import Row
from statemachine.settings import Settings
from tests.simulation.book import Book, Common
from tests.simulation.cluster.engine import WatchedEngine
from tests.simulation.judge import Judge


class ClusterJudge(Judge):
    """Judges one node. `others` are the judges of all, itself among them."""

    def __init__(
        self,
        node: str,
        settings: Settings,
        accuse: Callable[[str, str], None],
        note: Callable[..., None],
        common: Common,
        engine: WatchedEngine,
        others: Callable[[], Iterable["ClusterJudge"]],
    ) -> None:
        super().__init__(settings, accuse, lambda name, *what: note(name, node, *what), common)
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
    def _post_leaves(self, name: str, book: Book, body: bytes) -> None:
        super()._post_leaves(name, book, body)
        if why := self._engine.forbids(self.node, name):
            self._accuse(name, f"ownership: {self.node} has posted, but {why}")

    @override
    def _mark_submission(self) -> None:
        for judge in self._others():
            judge.submits = judge is self
        super()._mark_submission()
