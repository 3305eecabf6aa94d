"""The contract of Operator: an action reaches the server's owner, or the caller gets an error."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from statemachine.cluster.operator import ForwardingOperator
from statemachine.core.messages import Message, message
from statemachine.core.pause import NO_TERMS, PauseTerms
from statemachine.core.ports import Action, ActionRefusedError, NotOwnedError, Operator, Terms, TermsIgnoredError
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

SERVERS = ("a", "b", "c", "d", "e", "f")


@dataclass
class FakeOperator:
    """An operator that accepts actions for its servers."""

    servers: set[str]
    refusal: Message | None = None
    done: list[tuple[str, str]] = field(default_factory=list)
    callers: set[str | None] = field(default_factory=set)
    terms: set[Terms] = field(default_factory=set)

    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_TERMS) -> bool:
        if server in self.servers:
            if self.refusal is not None:
                raise ActionRefusedError(self.refusal)
            self.terms.add(terms)
            self.done.append((server, action))
            self.callers.add(by)
        return server in self.servers


@dataclass
class Operators:
    """The operators of all nodes, and the local ones behind them."""

    operators: list[Operator]
    fleets: list[FakeOperator]

    @property
    def done(self) -> list[tuple[str, str]]:
        return [one for fleet in self.fleets for one in fleet.done]


@asynccontextmanager
async def direct(_: Path) -> AsyncIterator[Operators]:
    fleet = FakeOperator(set(SERVERS))
    yield Operators([fleet], [fleet])


async def operator_of(node: Node) -> tuple[ForwardingOperator, FakeOperator]:
    fleet = FakeOperator(node.host.acquired)
    operator = ForwardingOperator(node.store, node.node.ownership, node.name, fleet, node.node.bus.has_server)
    await operator.listen()
    return operator, fleet


@asynccontextmanager
async def forwarding(folder: Path) -> AsyncIterator[Operators]:
    shared = engine()
    nodes = [Node(shared, name, folder, SERVERS) for name in ("one", "two", "drei & 三")]
    async with running(*nodes):
        both = [await operator_of(node) for node in nodes]
        yield Operators([operator for operator, _ in both], [fleet for _, fleet in both])


@pytest.fixture(params=[direct, forwarding])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Operators]:
    make: Callable[[Path], AbstractAsyncContextManager[Operators]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_act_on_any_node_is_carried_out_once(cluster: Operators) -> None:
    for operator in cluster.operators:
        for server in SERVERS:
            for action in Action:
                assert await operator.act(server, action)
                assert cluster.done.count((server, action)) == 1
        for fleet in cluster.fleets:
            fleet.done.clear()


@in_virtual_time
@pytest.mark.parametrize("by", [None, "alice", "操作员"])
async def test_act_passes_on_who_requested_it(cluster: Operators, by: str | None) -> None:
    for operator in cluster.operators:
        for server in SERVERS:
            await operator.act(server, Action.PAUSE, by)
    assert {one for fleet in cluster.fleets for one in fleet.callers} == {by}


@in_virtual_time
@pytest.mark.parametrize("by", [None, "alice"])
async def test_act_passes_on_the_terms_of_a_pause(cluster: Operators, by: str | None) -> None:
    terms = PauseTerms(1_767_225_600.0, "驱动升级 🔧")
    for operator in cluster.operators:
        for server in SERVERS:
            await operator.act(server, Action.PAUSE, by, terms)
    assert {one for fleet in cluster.fleets for one in fleet.terms} == {terms}
    assert {one for fleet in cluster.fleets for one in fleet.callers} == {by}


@in_virtual_time
async def test_act_that_the_owner_refuses_says_why_on_any_node(cluster: Operators) -> None:
    for fleet in cluster.fleets:
        fleet.refusal = message("restart_paused", server="停用 🔧")
    for operator in cluster.operators:
        for server in SERVERS:
            with pytest.raises(ActionRefusedError) as refused:
                await operator.act(server, Action.RESTART)
            assert refused.value.message == message("restart_paused", server="停用 🔧")
    assert cluster.done == []


@in_virtual_time
async def test_act_unknown_server_returns_false(cluster: Operators) -> None:
    for operator in cluster.operators:
        assert not await operator.act("unknown", Action.WARM)
    assert cluster.done == []


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[FakeEngine, Node, Node]]:
    shared = engine()
    one, two = Node(shared, "one", folder, SERVERS), Node(shared, "two", folder, SERVERS)
    async with running(one, two):
        yield shared, one, two


@in_virtual_time
async def test_act_owner_cut_off_raises_until_takeover(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (shared, one, two):
        operator, fleet = await operator_of(one)
        await operator_of(two)
        theirs = min(two.host.acquired)
        shared.cut("two")
        with pytest.raises(NotOwnedError, match="node two, which owns"):
            await operator.act(theirs, Action.PAUSE)
        for _ in range(int(LEASE_S)):
            await settled()
        assert await operator.act(theirs, Action.PAUSE)
        assert fleet.done == [(theirs, "pause")]


@in_virtual_time
async def test_act_during_handover_raises(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        operator, _ = await operator_of(one)
        _, others = await operator_of(two)
        theirs, ours = min(two.host.acquired), min(one.host.acquired)
        others.servers = set()
        with pytest.raises(NotOwnedError, match="just handed"):
            await operator.act(theirs, Action.CHECK)
        one.host.acquired.clear()
        with pytest.raises(NotOwnedError, match="no node owns"):
            await operator.act(ours, Action.CHECK)


@in_virtual_time
@pytest.mark.parametrize("garbage", [b"", b"{}", b'["a"]', b"\xff", b'["a", "b", "c"]'])
async def test_respond_unknown_request_returns_not_understood(tmp_path: Path, garbage: bytes) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        await operator_of(two)
        assert await one.store.request(f"act.{b'two'.hex()}", garbage) == b"not understood"


@in_virtual_time
async def test_act_reports_terms_that_an_older_owner_ignores(tmp_path: Path) -> None:
    """An older version takes the first three items of a request and responds that it is done."""
    async with two_nodes(tmp_path) as (_, one, two):
        operator, _ = await operator_of(one)
        done: list[object] = []

        async def respond(value: bytes) -> bytes:
            server, action, *_by = orjson.loads(value)
            done.append((server, action))
            return b"done"

        await two.store.respond(f"act.{b'two'.hex()}", respond)
        theirs = min(two.host.acquired)
        with pytest.raises(TermsIgnoredError, match="without end and note"):
            await operator.act(theirs, Action.PAUSE, "alice", PauseTerms(None, "driver update"))
        assert await operator.act(theirs, Action.PAUSE, "alice")
        assert done == [(theirs, "pause")] * 2


@in_virtual_time
@pytest.mark.parametrize(("answer", "said"), [(b"not understood", "does not know this action"), (b"?", "try again")])
async def test_act_answer_of_another_version_is_explained(tmp_path: Path, answer: bytes, said: str) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        operator, _ = await operator_of(one)

        async def respond(_: bytes) -> bytes:
            return answer

        await two.store.respond(f"act.{b'two'.hex()}", respond)
        with pytest.raises(NotOwnedError, match=said):
            await operator.act(min(two.host.acquired), Action.RESTART)


@in_virtual_time
async def test_act_refusal_in_other_words_is_shown_verbatim(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, one, two):
        operator, _ = await operator_of(one)

        async def respond(_: bytes) -> bytes:
            return b"refused [\xff"

        await two.store.respond(f"act.{b'two'.hex()}", respond)
        with pytest.raises(ActionRefusedError) as refused:
            await operator.act(min(two.host.acquired), Action.RESTART)
        assert refused.value.message.code == "verbatim"
