"""One restart in virtual time: what a pause, a full disk, a long absence of the daemon do to it."""

import asyncio
from dataclasses import replace
from http import HTTPStatus

import pytest
from typing_extensions import override

from statemachine.core.ports import Action, NotStoredError
from statemachine.core.restart import RestartStage
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence
from statemachine.simulator import SimServer
from statemachine.simulator.http import Request, Response, text_response
from tests.simulation.restart_rig import LIMITS, QUICK, Hook, RestartRig, run_story


async def begun(rig: RestartRig) -> None:
    """Request a restart of the loaded server, and wait until its hook runs."""
    await rig.until_state(State.LOADED)
    await rig.ask(Action.RESTART)
    await rig.until_state(State.RESTARTING)


def test_hook_of_paused_server_is_awaited_after_resume() -> None:
    """The restart goes on where it was, and a second one is not begun beside it."""
    hook = Hook(takes_s=8.0)

    async def story(rig: RestartRig) -> None:
        await begun(rig)
        await rig.ask(Action.PAUSE)
        await asyncio.sleep(1.0)
        assert (rig.view.state, rig.restart.stage) == (State.PAUSED, RestartStage.HOOK)
        await rig.ask(Action.RESUME)
        await rig.until_state(State.RESTARTING)
        await rig.ask(Action.RESTART)
        await rig.until_state(State.LOADED)
        assert rig.restart.stage is RestartStage.SUCCEEDED

    run_story(story, hook)
    assert (list(hook.runs.values()), hook.most_at_once) == ([1], 1)


@pytest.mark.parametrize(
    ("fails", "stage", "reason"),
    [(True, RestartStage.FAILED, Reason.HOOK_FAILED), (False, RestartStage.CANCELLED, Reason.PAUSE_REQUESTED)],
)
def test_hook_that_ends_while_paused_is_shown(fails: bool, stage: RestartStage, reason: Reason) -> None:
    async def story(rig: RestartRig) -> None:
        await begun(rig)
        await rig.ask(Action.PAUSE)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.view.reason) == (State.PAUSED, reason)
        assert (rig.restart.stage, rig.restart.reason) == (stage, reason)
        await rig.ask(Action.RESUME)
        await rig.until_state(State.LOADED)

    run_story(story, Hook(fails=fails))


def test_pause_outlasts_the_daemon_that_ran_the_hook() -> None:
    async def story(rig: RestartRig) -> None:
        await begun(rig)
        await rig.ask(Action.PAUSE)
        await asyncio.sleep(0.5)
        await rig.crash(1.0)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.restart.stage) == (State.PAUSED, RestartStage.CANCELLED)
        await rig.ask(Action.RESUME)
        await rig.until_state(State.LOADED)

    run_story(story, hook := Hook(takes_s=8.0))
    assert list(hook.runs.values()) == [1]


def test_request_older_than_its_limit_is_not_resumed() -> None:
    hook = Hook()

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        rig.server.start_foreign_job(5.0)
        await rig.ask(Action.RESTART)
        await rig.until_state(State.DRAINING)
        await rig.crash(LIMITS["drain_timeout_s"] + 61.0)
        await rig.until_state(State.LOADED)
        assert (rig.restart.stage, rig.restart.reason) == (RestartStage.FAILED, Reason.DRAIN_TIMED_OUT)

    run_story(story, hook)
    assert not hook.runs


def test_absence_of_our_prompt_is_confirmed_past_the_drain_limit() -> None:
    """A process that ended shortly before the limit of the drain has taken our prompt with it."""

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.WARMING)
        await rig.ask(Action.RESTART)
        await asyncio.sleep(LIMITS["drain_timeout_s"] - 5.0)
        rig.server.profile = QUICK
        await rig.server.restart()
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.restart.stage) == (State.LOADED, RestartStage.SUCCEEDED)

    run_story(story, hook := Hook(), replace(QUICK, load_seconds=1_000.0))
    assert hook.runs.total() == 1


def test_prompt_that_arrives_before_the_record_is_waited_for() -> None:
    """The last look is right before the record, after the question for the newest prompt."""
    hook = Hook()

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        await rig.ask(Action.RESTART)
        handle = rig.server.handle

        async def queued_meanwhile(request):  # type: ignore[no-untyped-def]
            if request.path.startswith("/history") and not rig.server.process.queue.remaining and not job:
                job.append(rig.server.start_foreign_job(10.0))
            return await handle(request)

        job: list[str] = []
        rig.server.handle = queued_meanwhile  # type: ignore[method-assign]
        await rig.until(lambda _: job)
        await asyncio.sleep(5.0)
        assert (rig.view.state, rig.server.process.queue.remaining) == (State.DRAINING, 1)
        await rig.until(lambda view: view.restart and view.restart.stage is RestartStage.SUCCEEDED)

    run_story(story, hook)


class BusyHook(Hook):
    """Returns the server with a prompt of a user, which runs for a long time."""

    @override
    async def act(self, server: SimServer) -> None:
        await super().act(server)
        server.start_foreign_job(3_000.0)


def test_returned_server_that_stays_cold_ends_its_restart() -> None:
    async def story(rig: RestartRig) -> None:
        await begun(rig)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.view.reason) == (State.COLD, Reason.NOT_WARMED)
        assert (rig.restart.stage, rig.restart.reason) == (RestartStage.FAILED, Reason.NOT_WARMED)

    run_story(story, BusyHook())


def test_request_on_a_full_disk_is_refused_and_changes_nothing() -> None:
    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        rig.disk.full = True
        with pytest.raises(NotStoredError):
            await rig.ask(Action.RESTART)
        with pytest.raises(NotStoredError):
            await rig.ask(Action.RESTART)
        rig.disk.full = False
        await rig.until_state(State.LOADED)
        assert not rig.hook.runs

    run_story(story)


def test_cancellation_on_a_full_disk_says_so() -> None:
    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        await rig.ask(Action.RESTART)
        rig.disk.full = True
        with pytest.raises(NotStoredError):
            await rig.ask(Action.RESUME)
        rig.disk.full = False
        await asyncio.sleep(5.0)
        await rig.until_state(State.LOADED)
        assert rig.restart.stage is RestartStage.CANCELLED
        assert not rig.hook.runs

    run_story(story)


@pytest.mark.parametrize("is_at_start", [False, True])
def test_answered_request_survives_a_crash_at_once(is_at_start: bool) -> None:
    """A request that arrives before the server's task has started is answered once it is stored, too."""

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        if is_at_start:
            await rig.crash(1.0)
            await rig.until_asked()
            await rig.crash(1.0)
            await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
            assert rig.restart.stage is RestartStage.SUCCEEDED
            return
        await rig.ask(Action.RESTART)
        await rig.crash(1.0)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert rig.restart.stage is RestartStage.SUCCEEDED

    run_story(story)


def test_answered_cancellation_survives_a_crash_at_once() -> None:
    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        await rig.ask(Action.RESTART)
        await rig.ask(Action.RESUME)
        await rig.crash(1.0)
        await rig.until_state(State.LOADED)
        assert not rig.hook.runs

    run_story(story)


@pytest.mark.parametrize(
    ("hook", "reason", "bound_s"),
    [
        (Hook(fails=True, acts=False), Reason.HOOK_FAILED, 2.0),
        (Hook(takes_s=LIMITS["hook_timeout_s"], fails=True, acts=False), Reason.HOOK_FAILED, LIMITS["hook_timeout_s"]),
        (Hook(is_for_other=True), Reason.NOT_RESTARTED, 2.0 + LIMITS["return_timeout_s"]),
        (Hook(away_s=10_000.0), Reason.NOT_RETURNED, 2.0 + LIMITS["return_timeout_s"]),
    ],
    ids=["fails", "hangs", "another server", "no return"],
)
def test_failed_restart_ends_at_its_bound_and_says_why(hook: Hook, reason: Reason, bound_s: float) -> None:
    """Nothing is repeated within the next minutes, and the other server stays as it is unless the hook restarts it."""
    others: list[ServerView | None] = []

    async def story(rig: RestartRig) -> None:
        await rig.until(lambda _: rig.other_view is not None and rig.other_view.state is State.LOADED)
        others.append(rig.other_view)
        await begun(rig)
        begun_at, warm_ups = rig.restart.hook_started_at or 0.0, len(rig.server.log)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.restart.stage, rig.restart.reason) == (State.FAILED, RestartStage.FAILED, reason)
        assert (rig.restart.ended_at or 0.0) - begun_at <= bound_s + 5.0
        assert rig.restart.message.code
        await asyncio.sleep(300.0)
        assert len(rig.server.log) == warm_ups
        others.append(rig.other_view)

    run_story(story, hook, with_other=True)
    before, after = others
    assert before is not None
    assert after is not None
    assert hook.runs.total() == 1
    assert (after.state, after.restart) == (State.LOADED, None)
    assert (after.since == before.since) is not hook.is_for_other


def test_failed_restart_of_unreachable_server_stays_in_its_message() -> None:
    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        await rig.server.go_down()
        await rig.until_state(State.UNREACHABLE)
        await rig.ask(Action.RESTART)
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        await rig.until_state(State.UNREACHABLE)
        assert "its latest restart failed: no such unit" in sentence(rig.view.message)

    run_story(story, Hook(fails=True, acts=False))


def answering(rig: RestartRig, answer: Response) -> None:
    """Let the server answer questions for the companion node with this."""
    handle = rig.server.handle

    async def answered(request: Request) -> Response:
        return answer if request.path == "/cache/check" else await handle(request)

    rig.server.handle = answered  # type: ignore[method-assign]


async def cut_off(rig: RestartRig) -> None:
    """Let connections be refused for a while, although the process goes on."""
    rig.server.up = False
    await asyncio.sleep(2.0)
    rig.server.up = True


UNREADABLE = text_response('{"comfywarm": 1, "rel')
ABSENT = text_response("404: Not Found", status=HTTPStatus.NOT_FOUND)


@pytest.mark.parametrize(
    ("answer", "seen_s", "reloads"),
    [(UNREADABLE, 0.0, False), (UNREADABLE, 2.0, False), (ABSENT, 2.0, False), (ABSENT, 2.0, True)],
)
def test_answer_without_an_instance_is_no_return_of_another_process(
    answer: Response, seen_s: float, reloads: bool
) -> None:
    """Neither when it cannot be read, nor when the old process was seen after the connections were refused."""

    async def story(rig: RestartRig) -> None:
        await begun(rig)
        await cut_off(rig)
        await asyncio.sleep(seen_s)
        answering(rig, answer)
        if reloads:
            await rig.reload()
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.restart.stage, rig.restart.reason) in {
            (RestartStage.FAILED, Reason.NOT_RESTARTED),
            (RestartStage.FAILED, Reason.NOT_RETURNED),
        }

    run_story(story, Hook(acts=False), replace(QUICK, companion=True, loaded=True))  # without a prompt in its history


def test_return_with_another_plug_in_in_place_of_the_node_is_one() -> None:
    async def story(rig: RestartRig) -> None:
        await begun(rig)
        rig.change_profile(replace(QUICK, loaded=True))
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.view.state, rig.restart.stage) == (State.LOADED, RestartStage.SUCCEEDED)

    run_story(story, profile=replace(QUICK, companion=True, loaded=True))


def test_silence_that_begins_while_draining_does_not_end_it_after_a_reload() -> None:
    """Only a server that was away when its restart was requested is not waited for."""
    hook = Hook()

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        rig.server.start_foreign_job(1_000.0)
        await rig.ask(Action.RESTART)
        await rig.until_state(State.DRAINING)
        rig.wires[rig.plan.name].begin_outage()
        await asyncio.sleep(25.0)
        await rig.reload()
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open)
        assert (rig.restart.stage, rig.restart.reason) == (RestartStage.FAILED, Reason.DRAIN_TIMED_OUT)

    run_story(story, hook)
    assert not hook.runs


@pytest.mark.parametrize("step_s", [3600.0, -3600.0])
@pytest.mark.parametrize(
    ("state", "limit_s"),
    [
        (State.DRAINING, LIMITS["drain_timeout_s"]),
        (State.RESTARTING, LIMITS["hook_timeout_s"] + LIMITS["return_timeout_s"]),
    ],
)
def test_limit_holds_while_the_clock_is_set_and_settings_are_reloaded(
    state: State, limit_s: float, step_s: float
) -> None:
    took: list[float] = []

    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        if state is State.DRAINING:
            rig.server.start_foreign_job(1_000.0)
        await rig.ask(Action.RESTART)
        await rig.until_state(state)
        began, loop = asyncio.get_running_loop().time(), asyncio.get_running_loop()
        while rig.restart.is_open and loop.time() < began + 2 * limit_s:
            rig.clock_offset += step_s
            await rig.reload(edition=round(loop.time()))
            await asyncio.sleep(4.0)
        took.append(loop.time() - began)

    run_story(story, Hook(acts=False))
    assert limit_s - 10.0 < took[0] < limit_s + 10.0


def test_companion_node_of_a_new_process_is_used() -> None:
    async def story(rig: RestartRig) -> None:
        await rig.until_state(State.LOADED)
        assert sentence(rig.view.message).startswith("history check")
        rig.change_profile(replace(QUICK, companion=True))
        await rig.server.restart()
        await rig.until(lambda view: view.state is State.COLD or view.state is State.UNKNOWN)
        await rig.until_state(State.LOADED)
        assert sentence(rig.view.message).startswith("node check")

    run_story(story, profile=replace(QUICK, text_check="absent", inspire=False))


def test_models_lost_before_a_late_connection_are_noticed() -> None:
    """The server is loaded again before its first connection is open, and no frame shows what is lost meanwhile."""

    async def story(rig: RestartRig) -> None:
        await begun(rig)
        rig.lose_dials(4)
        await rig.until_state(State.LOADED)
        rig.server.drop_keys(keep_executor=False)
        await rig.until(lambda view: view.state is not State.LOADED, within_s=60.0)
        await rig.until_state(State.LOADED)
        assert rig.noted(Reason.LINK_RESTORED) == [Reason.LINK_RESTORED]

    run_story(story)
