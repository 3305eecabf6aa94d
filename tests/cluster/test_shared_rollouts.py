"""The rolling restart of a cluster: one node carries it out, and another takes it over."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from statemachine.cluster.membership import Identity, Membership
from statemachine.cluster.rollouts import KEY, SharedRollouts
from statemachine.cluster.store import Dataset
from statemachine.core.rollout import MemberStage, RolloutAction, RunState
from statemachine.rollouts.service import RolloutRefusedError, Rollouts
from statemachine.rollouts.store import RolloutConflictError, RolloutsUnavailableError
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, engine, loop_time, new_id
from tests.rollouts.harness import ONE, TWO, FakeFleet, rollouts_over, running, until, until_ended, warm_fleet

pytestmark = pytest.mark.looptime


@asynccontextmanager
async def member(shared: FakeEngine, name: str) -> AsyncIterator[SharedRollouts]:
    """Run a node's membership within the block; leaving it is a crash, whose lease ends later."""
    store = shared.store(name)
    membership = Membership(store, Identity(name, LEASE_S, loop_time, new_id), on_change=lambda: None)
    task = asyncio.create_task(membership.run())
    try:
        yield SharedRollouts(store, membership)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def nodes(shared: FakeEngine, fleet: FakeFleet, names: Sequence[str]) -> AsyncIterator[dict[str, Rollouts]]:
    async with AsyncExitStack() as stack:
        stores = {name: await stack.enter_async_context(member(shared, name)) for name in names}
        await asyncio.sleep(2 * LEASE_S)
        yield {
            name: await stack.enter_async_context(running(rollouts_over(fleet, one))) for name, one in stores.items()
        }


async def test_one_node_carries_the_run_out_and_every_node_shows_it() -> None:
    shared, fleet = engine(), warm_fleet(4)
    async with nodes(shared, fleet, ["a", "b", "c"]) as rollouts:
        started = await rollouts["b"].start("g", TWO, None)
        runs = [await until_ended(one) for one in rollouts.values()]
    assert {run.id for run in runs} == {started.id}
    assert runs[0].counts()[MemberStage.DONE] == 4
    assert fleet.hooks == Counter({started.restart_id(one): 1 for one in started.members})
    assert len(fleet.asked) == 4


async def test_exactly_one_of_the_nodes_may_run() -> None:
    shared = engine()
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(member(shared, name)) for name in ("a", "b", "c")]
        await asyncio.sleep(2 * LEASE_S)
        assert [one.may_run for one in stores].count(True) == 1


async def test_another_node_takes_over_the_run_of_a_dead_one() -> None:
    shared, fleet = engine(), warm_fleet(6)
    async with AsyncExitStack() as stack:
        names = ["a", "b", "c"]
        running_nodes = {name: AsyncExitStack() for name in names}
        services: dict[str, Rollouts] = {}
        stores: dict[str, SharedRollouts] = {}
        for name, own in running_nodes.items():
            await stack.enter_async_context(own)
            stores[name] = await own.enter_async_context(member(shared, name))
            services[name] = await own.enter_async_context(running(rollouts_over(fleet, stores[name])))
        await asyncio.sleep(2 * LEASE_S)
        started = await services["a"].start("g", TWO, None)
        await until(services["a"], lambda run: run.counts()[MemberStage.DONE] >= 1)
        leader = next(name for name in names if stores[name].may_run)
        await running_nodes[leader].aclose()
        survivor = next(name for name in names if name != leader)
        run = await until_ended(services[survivor])
    assert (run.state, run.counts()[MemberStage.DONE]) == (RunState.DONE, 6)
    assert fleet.hooks == Counter({started.restart_id(one): 1 for one in started.members})
    assert fleet.most_away <= 2


async def test_run_that_two_nodes_start_at_once_exists_once() -> None:
    shared, fleet = engine(), warm_fleet(3)
    async with nodes(shared, fleet, ["a", "b"]) as rollouts:
        results = await asyncio.gather(
            *(one.start("g", ONE, None) for one in rollouts.values()), return_exceptions=True
        )
        refused = [one for one in results if isinstance(one, RolloutRefusedError)]
        assert [one.code for one in refused] == ["rollout_open"]
        run = await until_ended(rollouts["a"])
    assert fleet.hooks.total() == len(run.members) == 3


async def test_action_on_any_node_reaches_the_run() -> None:
    shared, fleet = engine(), warm_fleet(3)
    async with nodes(shared, fleet, ["a", "b"]) as rollouts:
        await rollouts["a"].start("g", ONE, None)
        await asyncio.sleep(2)
        for one in rollouts.values():
            assert (await one.act(RolloutAction.PAUSE, None)).state is RunState.PAUSED
            assert (await one.act(RolloutAction.RESUME, None)).state is RunState.RUNNING
        await rollouts["b"].act(RolloutAction.CANCEL, None)
        run = await until_ended(rollouts["a"])
    assert (run.state, fleet.hooks.total()) == (RunState.CANCELLED, 1)


async def test_node_that_is_cut_off_reports_it() -> None:
    shared, fleet = engine(), warm_fleet(1)
    async with nodes(shared, fleet, ["a"]) as rollouts:
        shared.cut("a")
        with pytest.raises(RolloutsUnavailableError):
            await rollouts["a"].latest()


async def test_value_that_is_not_understood_is_no_run_and_is_replaced() -> None:
    shared, fleet = engine(), warm_fleet(2)
    await shared.store("x").put(Dataset.SHARED, KEY, b"{garbage", 0)
    async with nodes(shared, fleet, ["a"]) as rollouts:
        assert await rollouts["a"].latest() is None
        await rollouts["a"].start("g", ONE, None)
        assert (await until_ended(rollouts["a"])).state is RunState.DONE


async def test_run_of_ten_thousand_failed_servers_fits_into_a_value() -> None:
    shared, fleet = engine(), warm_fleet(10_000)
    async with member(shared, "a") as store:
        run = await rollouts_over(fleet, store).start("g", ONE, None)
        over = [one.moved(MemberStage.FAILED, 1_767_225_600.123, "still_cold_after_success") for one in run.members]
        run = run.with_members(over, 1_767_225_600.123)
        await store.save(run, 1)
        assert (await store.load()).run == run
        stored = await shared.store("x").get(Dataset.SHARED, KEY)
    assert stored is not None
    assert len(stored.value) < 500_000


async def test_write_at_an_old_revision_conflicts() -> None:
    shared, fleet = engine(), warm_fleet(2)
    async with member(shared, "a") as store:
        run = await rollouts_over(fleet, store).start("g", ONE, None)
        with pytest.raises(RolloutConflictError):
            await store.save(run, 0)
