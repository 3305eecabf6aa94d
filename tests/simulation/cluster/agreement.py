"""What all nodes of a cluster that is left alone must agree on."""

from collections.abc import Iterable, Iterator, Sequence

import orjson

from statemachine.cluster.permits import LEDGER
from statemachine.cluster.records import told_from
from statemachine.cluster.store import Dataset
from tests.simulation.book import Book
from tests.simulation.cluster.engine import WatchedEngine
from tests.simulation.cluster.seat import Seat
from tests.simulation.rules import IN_FLIGHT

Row = tuple[int, str | None, str | None]


def disagreements(engine: WatchedEngine, seats: Sequence[Seat], books: Iterable[Book]) -> Iterator[str]:
    """In words, each the same as long as it lasts."""
    held = _ledger(engine)
    for book in books:
        name = book.plan.name
        if not is_owned_once(engine, seats, name):
            yield f"{name} is not owned by exactly one living node"
        if name in held and book.state not in IN_FLIGHT:
            yield f"{name} holds a permit and is not in flight"
        for seat in seats:
            view = seat.life.snapshot.get(name) if seat.life is not None else None
            if view is None or view.state is not book.state:
                yield f"{seat.name} does not show {name} as its owner does"


def _ledger(engine: WatchedEngine) -> frozenset[str]:
    kept = engine.get(Dataset.SHARED, LEDGER)
    return frozenset(orjson.loads(kept.value)) if kept is not None else frozenset()


def is_owned_once(engine: WatchedEngine, seats: Sequence[Seat], server: str) -> bool:
    """Whether exactly one living node owns the server: by its own account, and by the engine's record."""
    record = engine.record(server)
    owners = [seat for seat in seats if seat.life is not None and seat.life.node.ownership.owns(server)]
    return len(owners) == 1 and owners[0].name == record.node and engine.forbids(owners[0].name, server) is None


def log_of(engine: WatchedEngine) -> list[Row]:
    """Number, server and state of each entry of the log that all share."""
    rows = []
    for kept in engine.datasets[Dataset.LOG].log:
        entry = told_from(kept.value).entry
        rows.append((kept.revision, entry.server, entry.dest.value if entry.dest else None))
    return rows
