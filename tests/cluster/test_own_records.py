"""The records of servers that are ours, over an engine that does not always answer."""

import asyncio

from campaigns.simulation.loop import VirtualLoop
from statemachine.cluster.owned_records import OwnRecords
from statemachine.cluster.records import Record, record_from
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine

SERVER = "gpu:8188"


def test_a_server_that_is_let_go_while_the_engine_is_away_is_free_once_it_is_back() -> None:
    async def live() -> Record:
        engine = FakeEngine()
        store = engine.store("a")
        own, ours = OwnRecords(store, lambda _: None), Record("session", "a")
        own.hold(SERVER, ours, await store.put(Dataset.SERVERS, SERVER, ours.encoded(), 0))
        engine.down()
        await own.release(SERVER)
        assert SERVER not in own
        engine.up()
        await asyncio.sleep(5.0)
        kept = await store.get(Dataset.SERVERS, SERVER)
        assert kept is not None
        return record_from(kept.value)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(live()) == Record()
