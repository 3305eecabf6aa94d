"""The owners of servers with permits, as a node sees their leases and records."""

from statemachine.cluster.followers import LeaseFollower
from statemachine.cluster.holders import PermitHolders
from statemachine.cluster.records import Lease, Record
from statemachine.cluster.store import StoredValue
from statemachine.journal.rows import attempt_row
from tests.cluster.nodes import engine, loop_time
from tests.journal.samples import attempt


class FakeHolders(PermitHolders):
    """Leases and records that a test writes."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._written = 0
        self.leases = LeaseFollower(engine().store("us"), loop_time, lambda: None, lambda _: None)
        self.leases.caught_up.set()
        super().__init__("us", lambda server: self._records.get(server, Record()), self.leases)

    def own(self, server: str, node: str, *, session: int = 1, in_flight: bool = False) -> None:
        """Write the record of a server that a node owns."""
        row = attempt_row(attempt(server=server)) if in_flight else None
        self._records[server] = Record(f"{node}{session}", node, row)

    def renew(self, node: str, beat: int, *, session: int = 1, over: bool = False) -> None:
        """Write a node's lease."""
        self._written += 1
        lease = Lease(node, f"{node}{session}", beat=beat, over=over)
        self.leases.observe(StoredValue(node, lease.encoded(), self._written))
