"""An operator's wish reaches whoever looks after the server, or the operator hears that it did not."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from statemachine.cluster.operator import ForwardingOperator
from statemachine.core.operator import Action, Operator
from statemachine.core.ownership import NotOwnedError
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

SERVERS = ("a", "b", "c", "d", "e", "f")


@dataclass
class Acting:
    """A fleet, as an operator sees it."""

    servers: set[str]
    done: list[tuple[str, str]] = field(default_factory=list)

    async def act(self, server: str, action: Action) -> bool:
        if server in self.servers:
            self.done.append((server, action))
        return server in self.servers


@dataclass
class Stage:
    operators: list[Operator]
    fleets: list[Acting]

    @property
    def done(self) -> list[tuple[str, str]]:
        return [one for fleet in self.fleets for one in fleet.done]


@asynccontextmanager
async def direct(_: Path) -> AsyncIterator[Stage]:
    fleet = Acting(set(SERVERS))
    yield Stage([fleet], [fleet])


async def operator_of(node: Node) -> tuple[ForwardingOperator, Acting]:
    fleet = Acting(node.hands.up)
    operator = ForwardingOperator(node.store, node.node.ownership, node.name, fleet, node.node.bus.shows)
    await operator.listen()
    return operator, fleet


@asynccontextmanager
async def forwarding(folder: Path) -> AsyncIterator[Stage]:
    shared = engine()
    nodes = [Node(shared, name, folder, SERVERS) for name in ("one", "two", "drei & 三")]
    async with running(*nodes):
        both = [await operator_of(node) for node in nodes]
        yield Stage([operator for operator, _ in both], [fleet for _, fleet in both])


@pytest.fixture(params=[direct, forwarding])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Stage]:
    make: Callable[[Path], AbstractAsyncContextManager[Stage]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_whoever_is_asked_it_is_done_once(stage: Stage) -> None:
    for operator in stage.operators:
        for server in SERVERS:
            for action in Action:
                assert await operator.act(server, action)
                assert stage.done.count((server, action)) == 1
        for fleet in stage.fleets:
            fleet.done.clear()


@in_virtual_time
async def test_there_is_no_such_server(stage: Stage) -> None:
    for operator in stage.operators:
        assert not await operator.act("nobody", Action.WARM)
    assert stage.done == []


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[FakeEngine, Node, Node]]:
    shared = engine()
    one, two = Node(shared, "one", folder, SERVERS), Node(shared, "two", folder, SERVERS)
    async with running(one, two):
        yield shared, one, two


@in_virtual_time
async def test_who_is_cut_off_cannot_be_asked(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (shared, one, two):
        operator, fleet = await operator_of(one)
        await operator_of(two)
        theirs = min(two.hands.up)
        shared.cut("two")
        with pytest.raises(NotOwnedError, match="node two, which looks after"):
            await operator.act(theirs, Action.PAUSE)
        for _ in range(int(LEASE_S)):
            await settled()
        assert await operator.act(theirs, Action.PAUSE)
        assert fleet.done == [(theirs, "pause")]


@in_virtual_time
async def test_what_nobody_has_yet_or_any_more(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        operator, _ = await operator_of(one)
        _, others = await operator_of(two)
        theirs, ours = min(two.hands.up), min(one.hands.up)
        others.servers = set()
        with pytest.raises(NotOwnedError, match="just handed"):
            await operator.act(theirs, Action.CHECK)
        one.hands.up.clear()
        with pytest.raises(NotOwnedError, match="no node looks after"):
            await operator.act(ours, Action.CHECK)


@in_virtual_time
@pytest.mark.parametrize("garbage", [b"", b"{}", b'["a"]', b"\xff", b'["a", "b", "c"]'])
async def test_what_another_version_asks_is_answered_too(tmp_path: Path, garbage: bytes) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        await operator_of(two)
        assert await one.store.request(f"act.{b'two'.hex()}", garbage) == b"not understood"
