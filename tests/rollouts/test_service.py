"""Rolling restarts, stored in a journal and carried out over servers that restart within seconds."""

import asyncio
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from statemachine.core.messages import message
from statemachine.core.rollout import MemberStage, Rollout, RolloutAction, RolloutLimits, RunReason, RunState
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.i18n.render import render
from statemachine.rollouts.service import RolloutRefusedError
from tests.rollouts.harness import (
    ONE,
    RESTART_S,
    TWO,
    Notices,
    journal_in,
    rollouts_over,
    running,
    until,
    until_ended,
    view_of,
    warm_fleet,
)

pytestmark = pytest.mark.looptime


def done(run: Rollout) -> int:
    return run.counts()[MemberStage.DONE]


async def test_run_over_six_servers_restarts_each_once_two_at_a_time(tmp_path: Path) -> None:
    fleet, notices = warm_fleet(6), Notices()
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store, notices)) as rollouts:
        started = await rollouts.start("g", TWO, "ann")
        run = await until_ended(rollouts)
    assert (run.state, done(run), run.by) == (RunState.DONE, 6, "ann")
    assert fleet.hooks == Counter({started.restart_id(one): 1 for one in started.members})
    assert fleet.most_away == 2
    assert set(fleet.asked) == {(f"s{number}", "ann") for number in range(6)}
    assert notices.names == [Notice.ROLLOUT_STARTED, Notice.ROLLOUT_DONE]
    assert "requested by ann" in render(notices.seen[0][1], "en")


@pytest.mark.parametrize("seed", range(4))
async def test_daemon_that_crashes_repeatedly_neither_repeats_nor_forgets(tmp_path: Path, seed: int) -> None:
    fleet, random = warm_fleet(5), Random(seed)
    async with journal_in(tmp_path) as store:
        run = await rollouts_over(fleet, store).start("g", TWO, None)
    for _ in range(200):
        async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
            await asyncio.sleep(random.choice((0.0, 0.001, 0.5, 1.001, 5.0, 30.0)))
            run = await rollouts.latest() or run
        await asyncio.sleep(random.choice((0.0, 400.0)))
        if run.ended_at is not None:
            break
    assert (run.state, done(run)) == (RunState.DONE, 5)
    assert fleet.hooks == Counter({run.restart_id(one): 1 for one in run.members})
    assert fleet.most_away <= 2


@pytest.mark.parametrize("seed", range(3))
async def test_runs_over_failing_hooks_and_crashes_keep_every_limit(tmp_path: Path, seed: int) -> None:
    """Days of runs: hooks fail, the daemon is killed between any two steps, and servers recover or do not."""
    random = Random(seed)
    fleet = warm_fleet(random.randint(3, 7))
    started: list[Rollout] = []
    for _ in range(80):
        fleet.fails = {name: Reason.HOOK_FAILED for name in fleet.views if random.random() < 0.2}
        async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
            run = await rollouts.latest()
            if run is None or run.ended_at is not None:
                limits = RolloutLimits(random.randint(1, 3), random.randint(1, 3))
                started.append(await rollouts.start("g", limits, None))
            elif random.random() < 0.2:
                with suppress(RolloutRefusedError):
                    await rollouts.act(random.choice(list(RolloutAction)), None)
            fleet.limit = started[-1].limits.max_unavailable
            await asyncio.sleep(random.choice((0.0, 0.001, 1.001, 7.0, 60.0)))
        for name, view in fleet.views.items():
            if view.state is State.FAILED and random.random() < 0.5:
                fleet.views[name] = view._replace(state=State.LOADED)
        await asyncio.sleep(random.choice((0.0, 5.0, 4_000.0)))
    assert len(started) > 5
    assert max(fleet.hooks.values()) == 1
    assert fleet.too_many == []


async def test_failed_hook_aborts_and_says_why(tmp_path: Path) -> None:
    fleet, notices = warm_fleet(4), Notices()
    fleet.fails["s0"] = Reason.HOOK_FAILED
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store, notices)) as rollouts:
        await rollouts.start("g", ONE, None)
        run = await until_ended(rollouts)
    assert (run.state, run.reason) == (RunState.ABORTED, RunReason.FAILURES_IN_A_ROW)
    assert run.members[0].reason == Reason.HOOK_FAILED
    assert fleet.hooks.total() == 1
    assert notices.names == [Notice.ROLLOUT_STARTED, Notice.ROLLOUT_ABORTED]
    assert "too many restarts failed in a row" in render(notices.seen[-1][1], "en")


async def test_paused_run_goes_on_after_resume_of_the_next_daemon(tmp_path: Path) -> None:
    fleet = warm_fleet(3)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        await asyncio.sleep(1)
        paused = await rollouts.act(RolloutAction.PAUSE, "bob")
    assert (paused.state, paused.changed_by) == (RunState.PAUSED, "bob")
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await asyncio.sleep(3_000)
        assert fleet.hooks.total() == 1
        await rollouts.act(RolloutAction.RESUME, "bob")
        run = await until_ended(rollouts)
    assert (run.state, done(run), fleet.hooks.total()) == (RunState.DONE, 3, 3)


async def test_cancelled_run_restarts_no_other_server(tmp_path: Path) -> None:
    fleet = warm_fleet(3)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        await asyncio.sleep(1)
        await rollouts.act(RolloutAction.CANCEL, "bob")
        run = await until_ended(rollouts)
        with pytest.raises(RolloutRefusedError, match="over"):
            await rollouts.act(RolloutAction.PAUSE, None)
    assert (run.state, done(run), fleet.hooks.total()) == (RunState.CANCELLED, 1, 1)


async def test_aborted_run_is_resumed_by_the_next_daemon_with_the_rest(tmp_path: Path) -> None:
    fleet, notices = warm_fleet(4), Notices()
    fleet.fails = {"s1": Reason.HOOK_FAILED}
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        assert (await until_ended(rollouts)).state is RunState.ABORTED
    fleet.views["s1"] = view_of("s1")
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store, notices)) as rollouts:
        await rollouts.act(RolloutAction.RESUME, "ann")
        with pytest.raises(RolloutRefusedError, match="has not ended"):
            await rollouts.start("g", ONE, None)
        run = await until_ended(rollouts)
        with pytest.raises(RolloutRefusedError, match="over"):
            await rollouts.act(RolloutAction.RESUME, None)
    assert (run.state, [one.stage.value for one in run.members]) == (RunState.DONE, ["done", "failed", "done", "done"])
    assert [server for server, _ in fleet.asked] == ["s0", "s1", "s2", "s3"]
    assert notices.names == [Notice.ROLLOUT_RESUMED, Notice.ROLLOUT_DONE]


async def test_second_run_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    fleet = warm_fleet(2)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        first = await rollouts.start("g", ONE, None)
        with pytest.raises(RolloutRefusedError) as refused:
            await rollouts.start("g", ONE, None)
        assert refused.value.code == "rollout_open"
        await until_ended(rollouts)
        assert (await rollouts.start("g", ONE, None)).id != first.id


@pytest.mark.parametrize(("hookless", "code"), [({"s0"}, "rollout.no_hook"), ({"s0", "s1"}, "rollout.no_hooks")])
async def test_run_over_servers_without_a_hook_is_refused(tmp_path: Path, hookless: set[str], code: str) -> None:
    fleet = warm_fleet(2)
    fleet.hookless = hookless
    async with journal_in(tmp_path) as store:
        with pytest.raises(RolloutRefusedError) as refused:
            await rollouts_over(fleet, store).start("g", ONE, None)
    assert (refused.value.code, refused.value.message.code) == ("no_restart_hook", code)


async def test_action_without_a_run_is_refused(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as store:
        with pytest.raises(RolloutRefusedError) as refused:
            await rollouts_over(warm_fleet(1), store).act(RolloutAction.PAUSE, None)
    assert refused.value.message == message("rollout.none")


async def test_refused_request_skips_the_server_and_goes_on(tmp_path: Path) -> None:
    fleet = warm_fleet(3)
    fleet.refuses = {"s0"}
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        run = await until_ended(rollouts)
    assert (run.state, run.members[0].reason, done(run)) == (RunState.DONE, RunReason.REQUEST_REFUSED, 2)


async def test_server_without_an_owner_is_asked_again_later(tmp_path: Path) -> None:
    fleet = warm_fleet(2)
    fleet.away = {"s0"}
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        await asyncio.sleep(60)
        assert 3 <= len(fleet.asked) <= 8
        fleet.away.clear()
        run = await until_ended(rollouts)
    assert (run.state, done(run)) == (RunState.DONE, 2)


async def test_server_that_fails_elsewhere_holds_the_run_up(tmp_path: Path) -> None:
    fleet = warm_fleet(4)
    fleet.views["other"] = view_of("other", state=State.FAILED)
    fleet.fails["other"] = Reason.HOOK_FAILED
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", RolloutLimits(1, 1), None)
        await asyncio.sleep(10 * RESTART_S)
        run = await rollouts.latest()
        assert run is not None
        assert fleet.hooks == Counter({run.restart_id(run.members[-1]): 1})
        fleet.views["other"] = view_of("other")
        run = await until_ended(rollouts)
    assert (run.state, done(run)) == (RunState.DONE, 4)


async def test_stored_run_of_another_version_is_not_resumed(tmp_path: Path) -> None:
    fleet = warm_fleet(2)
    async with journal_in(tmp_path) as store:
        await rollouts_over(fleet, store).start("g", ONE, None)
        await store._journal.file.save_rollout("zzz", 1.0, '{"id": 7}')
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await asyncio.sleep(10)
        assert await rollouts.latest() is None
        assert not fleet.hooks
        assert (await rollouts.start("g", ONE, None)).members


async def test_first_step_is_taken_at_once(tmp_path: Path) -> None:
    fleet = warm_fleet(2)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await asyncio.sleep(5)
        await rollouts.start("g", ONE, None)
        await until(rollouts, lambda run: run.counts()[MemberStage.RESTARTING] == 1, seconds=1)


@pytest.mark.parametrize("action", [RolloutAction.PAUSE, RolloutAction.CANCEL])
async def test_restart_decided_by_a_killed_daemon_is_stopped(tmp_path: Path, action: RolloutAction) -> None:
    fleet = warm_fleet(3)
    fleet.away = set(fleet.views)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        await until(rollouts, lambda run: run.counts()[MemberStage.RESTARTING] == 1)
        await rollouts.act(action, "bob")
    fleet.away.clear()
    fleet.asked.clear()
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await asyncio.sleep(3_000)
        run = await rollouts.latest()
        assert run is not None
        assert fleet.asked == []
        assert (run.ended_at is not None) == (action is RolloutAction.CANCEL)
        if action is RolloutAction.PAUSE:
            await rollouts.act(RolloutAction.RESUME, "bob")
            assert done(await until_ended(rollouts)) == 3


async def test_next_daemon_looks_at_the_room_before_it_asks(tmp_path: Path) -> None:
    fleet = warm_fleet(3)
    fleet.away = set(fleet.views)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", ONE, None)
        await until(rollouts, lambda run: run.counts()[MemberStage.RESTARTING] == 1)
    fleet.away.clear()
    fleet.views["s2"] = view_of("s2", state=State.FAILED)
    fleet.limit = 1
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await asyncio.sleep(3_000)
        assert not fleet.hooks
        fleet.views["s2"] = view_of("s2")
        run = await until_ended(rollouts)
    assert (done(run), fleet.too_many) == (3, [])


async def test_server_without_an_owner_does_not_delay_others(tmp_path: Path) -> None:
    fleet = warm_fleet(4)
    fleet.away = {"s0"}
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        await rollouts.start("g", TWO, None)
        run = await until(rollouts, lambda run: run.members[1].stage is MemberStage.DONE, seconds=60)
    assert run.members[0].stage is MemberStage.RESTARTING


async def test_run_started_after_the_clock_was_set_back_is_the_latest(tmp_path: Path) -> None:
    fleet = warm_fleet(2)
    async with journal_in(tmp_path) as store:
        await store._journal.file.save_rollout("earlier", 2e12, "{}")
        started = await rollouts_over(fleet, store).start("g", ONE, None)
    async with journal_in(tmp_path) as store, running(rollouts_over(fleet, store)) as rollouts:
        run = await until_ended(rollouts)
    assert (run.id, done(run)) == (started.id, 2)
