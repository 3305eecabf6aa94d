"""The state on which all nodes of a cluster without faults must agree."""

from collections.abc import Iterable, Iterator, Sequence

import orjson

from campaigns.simulation.cluster.engine import WatchedEngine
from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.ledger import ServerLedger
from statemachine.cluster.permits import LEDGER
from statemachine.cluster.records import shared_entry_from
from statemachine.cluster.store import Dataset
from statemachine.core.vocabulary import IN_FLIGHT

Row = tuple[int, str | None, str | None]


def disagreements(engine: WatchedEngine, nodes: Sequence[SimNode], ledgers: Iterable[ServerLedger]) -> Iterator[str]:
    """Yield a description of each disagreement; it is the same text as long as it lasts."""
    held = _permit_holders(engine)
    for ledger in ledgers:
        name = ledger.plan.name
        if not is_owned_once(engine, nodes, name):
            yield f"{name} is not owned by exactly one running node"
        if name in held and ledger.state not in IN_FLIGHT:
            yield f"{name} has a permit but no prompt in flight"
        for node in nodes:
            view = node.daemon.snapshot.get(name) if node.daemon is not None else None
            if view is None or view.state is not ledger.state:
                yield f"{node.name} and the owner of {name} show different states"


def _permit_holders(engine: WatchedEngine) -> frozenset[str]:
    stored = engine.get(Dataset.SHARED, LEDGER)
    return frozenset(orjson.loads(stored.value)) if stored is not None else frozenset()


def is_owned_once(engine: WatchedEngine, nodes: Sequence[SimNode], server: str) -> bool:
    """Return whether exactly one running node owns the server, as the engine's record also shows."""
    record = engine.record(server)
    owners = [node for node in nodes if node.daemon is not None and node.daemon.node.ownership.owns(server)]
    return (
        len(owners) == 1 and owners[0].name == record.node and engine.submission_error(owners[0].name, server) is None
    )


def log_of(engine: WatchedEngine) -> list[Row]:
    """Return number, server and state of each entry of the shared log."""
    rows = []
    for stored in engine.datasets[Dataset.LOG].log:
        entry = shared_entry_from(stored.value).entry
        rows.append((stored.revision, entry.server, entry.dest.value if entry.dest else None))
    return rows
