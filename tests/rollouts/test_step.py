"""The pure run of a rolling restart."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from statemachine.core import rollout_step
from statemachine.core.rollout import (
    MemberStage,
    RestartSeen,
    Rollout,
    RolloutAction,
    RolloutLimits,
    RolloutMember,
    RunReason,
    RunState,
    ServerFacts,
    acted,
    new_rollout,
)
from statemachine.core.rollout_room import RestartPoint, obstacles
from statemachine.core.rollout_step import (
    NO_PROGRESS_S,
    SEEN_WITHIN_S,
    SKIP_AFTER_S,
    START_PATIENCE_S,
    WARM_PATIENCE_S,
    Waits,
    refused,
    requests,
    step,
)
from statemachine.core.vocabulary import State
from tests.rollouts.model import RUN, play

NOW = 1_000.0
Servers = dict[str, ServerFacts]


def fleet(*states: State, workflows: tuple[str, ...] = ("w",)) -> Servers:
    return {f"s{number}": ServerFacts(f"s{number}", "a", state, workflows) for number, state in enumerate(states)}


def warm(count: int) -> Servers:
    return fleet(*[State.LOADED] * count)


def run_over(servers: Servers, max_unavailable: int = 1, abort_after: int = 1) -> Rollout:
    return new_rollout(RUN, "a", RolloutLimits(max_unavailable, abort_after), servers, "ann", NOW)


def stages(run: Rollout) -> str:
    return " ".join(one.stage.value for one in run.members)


def reasons(run: Rollout) -> list[str | None]:
    return [one.reason for one in run.members]


def at_point(server: str, point: RestartPoint, seconds: float) -> Waits:
    return Waits(at_point={server: (point, seconds)})


def begin(servers: Servers, name: str, restart: str | None = None) -> None:
    """Begin a restart of the server: that of the run, whose members are numbered from 1, or another."""
    seen = RestartSeen(restart or f"{RUN}-{int(name[1:]) + 1}", is_open=True)
    servers[name] = servers[name]._replace(state=State.DRAINING, restart=seen)


def asked(run: Rollout, servers: Servers) -> list[str]:
    return [one.server for one in requests(run, servers)]


def end(servers: Servers, name: str, succeeded: bool | None = True, state: State = State.LOADED) -> None:
    restart = servers[name].restart
    assert restart is not None
    ended = restart._replace(is_open=False, succeeded=succeeded, reason=None if succeeded else "hook_failed")
    servers[name] = servers[name]._replace(state=state, restart=ended)


@given(st.integers(min_value=0, max_value=2**32))
@hypothesis_settings(max_examples=300)
def test_run_under_faults_and_crashes_keeps_every_rule(seed: int) -> None:
    play(rollout_step, Random(seed))


@given(st.integers(min_value=0, max_value=2**32))
@hypothesis_settings(max_examples=50)
def test_run_over_a_calm_fleet_ends_with_every_server_settled(seed: int) -> None:
    run = play(rollout_step, Random(seed), rounds=150, calm=True)
    assert run.state is RunState.DONE or run.state is RunState.RUNNING
    assert {one.stage for one in run.members} <= {MemberStage.DONE, MemberStage.SKIPPED, MemberStage.WAITING}
    assert all(one.reason == RunReason.ONLY_SERVER for one in run.members if one.stage is MemberStage.SKIPPED)


def test_six_warm_servers_are_restarted_two_at_a_time() -> None:
    servers = warm(6)
    run = step(run_over(servers, 2), servers, NOW)
    assert stages(run) == "restarting restarting waiting waiting waiting waiting"
    assert asked(run, servers) == ["s0", "s1"]
    begin(servers, "s0")
    begin(servers, "s1")
    assert asked(run, servers) == []
    end(servers, "s0")
    run = step(run, servers, NOW + 9)
    assert stages(run) == "done restarting restarting waiting waiting waiting"


def test_every_server_restarted_ends_the_run() -> None:
    servers = warm(3)
    run = run_over(servers)
    for name in ("s0", "s1", "s2"):
        run = step(run, servers, NOW)
        begin(servers, name)
        end(servers, name)
    run = step(run, servers, NOW + 60)
    assert (run.state, run.ended_at, stages(run)) == (RunState.DONE, NOW + 60, "done done done")


@pytest.mark.parametrize("state", [one for one in State if one is not State.LOADED])
def test_server_that_is_not_warm_counts_whatever_its_state(state: State) -> None:
    servers = fleet(State.LOADED, State.LOADED, State.LOADED)
    servers["new"] = ServerFacts("new", "a", state, ("w",))
    run = step(run_over(warm(3)), servers, NOW)
    assert stages(run) == "waiting waiting waiting"
    assert set(obstacles(run, servers).values()) == {RunReason.LIMIT_REACHED}


def test_server_without_a_verdict_for_a_moment_counts_as_warm() -> None:
    servers = warm(3)
    servers["s2"] = servers["s2"]._replace(state=State.CHECKING, is_renewed=True)
    assert stages(step(run_over(servers), servers, NOW)) == "restarting waiting waiting"


def test_server_of_another_group_does_not_count() -> None:
    servers = warm(3)
    servers["b"] = ServerFacts("b", "b", State.FAILED, ("w",))
    assert stages(step(run_over(servers), servers, NOW)) == "restarting waiting waiting"


def test_failed_server_is_restarted_first() -> None:
    servers = fleet(State.LOADED, State.LOADED, State.FAILED)
    assert stages(step(run_over(servers), servers, NOW)) == "waiting waiting restarting"


def test_server_that_had_failed_before_counts_as_no_failure_in_a_row() -> None:
    servers = fleet(State.LOADED, State.LOADED, State.FAILED)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s2")
    end(servers, "s2", succeeded=False, state=State.FAILED)
    run = step(run, servers, NOW)
    assert (run.state, stages(run)) == (RunState.RUNNING, "waiting waiting failed")


def test_last_warm_server_of_a_workflow_waits_for_another() -> None:
    servers = warm(2)
    servers["s0"] = servers["s0"]._replace(workflows=("w", "v"))
    servers["b"] = ServerFacts("b", "b", State.WARMING, ("v",))
    run = step(run_over(servers, 2), servers, NOW)
    assert stages(run) == "waiting restarting"
    assert obstacles(run, servers) == {"s0": RunReason.LAST_WARM_SERVER}
    begin(servers, "s1")
    end(servers, "s1")
    servers["b"] = servers["b"]._replace(state=State.LOADED)
    assert stages(step(run, servers, NOW)) == "restarting done"


def test_last_warm_server_without_a_verdict_at_the_moment_waits() -> None:
    servers = fleet(State.CHECKING, State.FAILED)
    run = step(run_over(servers, 2), servers, NOW)
    assert stages(run) == "waiting restarting"


def test_only_server_of_a_workflow_is_skipped() -> None:
    servers = warm(2)
    servers["s0"] = servers["s0"]._replace(workflows=("w", "mine"))
    run = step(run_over(servers), servers, NOW)
    assert (stages(run), reasons(run)) == ("skipped restarting", [RunReason.ONLY_SERVER, None])


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.PAUSED, RunReason.SERVER_PAUSED), (State.UNREACHABLE, RunReason.SERVER_UNREACHABLE)],
)
def test_held_back_server_is_skipped_once_nothing_else_is_left(state: State, reason: RunReason) -> None:
    servers = fleet(state, State.LOADED, State.LOADED, State.LOADED)
    run = run_over(servers, 2)
    for name in ("s1", "s2", "s3"):
        run = step(run, servers, NOW)
        begin(servers, name)
        end(servers, name)
    run = step(run, servers, NOW)
    assert stages(run) == "waiting done done done"
    run = step(run, servers, NOW, Waits(SKIP_AFTER_S))
    assert (run.state, reasons(run)[0]) == (RunState.DONE, reason)


def test_server_removed_from_the_settings_is_skipped() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    del servers["s0"], servers["s1"]
    servers["new"] = ServerFacts("new", "a", State.LOADED, ("w",))
    run = step(run, servers, NOW)
    assert stages(run) == "skipped skipped restarting"


def test_server_without_a_hook_after_a_reload_is_skipped() -> None:
    servers = warm(2)
    run = run_over(servers)
    servers["s0"] = servers["s0"]._replace(has_hook=False)
    assert reasons(step(run, servers, NOW)) == [RunReason.NO_HOOK, None]


def test_server_with_an_older_open_restart_waits_for_its_end() -> None:
    servers = warm(3)
    begin(servers, "s0", restart="other")
    run = run_over(servers, 2)
    run = step(run, servers, NOW)
    assert stages(run) == "waiting restarting waiting"
    end(servers, "s0")
    begin(servers, "s1")
    assert stages(step(run, servers, NOW + 5)) == "restarting restarting waiting"


def test_server_that_another_restart_restarted_meanwhile_is_done() -> None:
    servers = warm(3)
    run = run_over(servers, 1)
    begin(servers, "s2", restart="other")
    end(servers, "s2")
    run = step(run, servers, NOW + 5)
    assert (stages(run), reasons(run)[2]) == ("restarting waiting done", RunReason.RESTARTED_MEANWHILE)


def test_restart_that_another_one_replaced_unseen_is_not_asked_for_again() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0", restart="other")
    assert asked(step(run, servers, NOW + 31), servers) == []
    end(servers, "s0")
    assert stages(step(run, servers, NOW + 60)) == "done restarting waiting"


def test_failed_restart_of_others_before_ours_was_asked_for_is_not_ours() -> None:
    servers = warm(3)
    run = run_over(servers, 1)
    begin(servers, "s2", restart="other")
    end(servers, "s2", succeeded=False, state=State.FAILED)
    run = step(run, servers, NOW + 5)
    assert (stages(run), asked(run, servers)) == ("waiting waiting restarting", ["s2"])
    assert step(run, servers, NOW + 6) == run


def test_failures_in_a_row_abort_and_open_restarts_go_on() -> None:
    servers = warm(6)
    run = step(run_over(servers, 3, 2), servers, NOW)
    for name in ("s0", "s1", "s2"):
        begin(servers, name)
    end(servers, "s0", succeeded=False, state=State.FAILED)
    end(servers, "s1", succeeded=False, state=State.FAILED)
    run = step(run, servers, NOW)
    assert stages(run) == "failed failed restarting skipped skipped skipped"
    assert (run.state, run.reason, run.ended_at) == (RunState.ABORTED, RunReason.FAILURES_IN_A_ROW, None)
    assert reasons(run)[3] == RunReason.RUN_ENDED
    end(servers, "s2")
    run = step(run, servers, NOW + 9)
    assert (run.state, run.ended_at, run.members[2].stage) == (RunState.ABORTED, NOW + 9, MemberStage.DONE)


def test_success_between_failures_starts_the_row_again() -> None:
    servers = warm(6)
    run = run_over(servers, 3, 2)
    for name, succeeded in (("s0", False), ("s1", True), ("s2", False)):
        run = step(run, servers, NOW)
        begin(servers, name)
        end(servers, name, succeeded=succeeded)
    run = step(run, servers, NOW)
    assert (run.state, run.failures_in_a_row) == (RunState.RUNNING, 1)


def test_paused_run_starts_nothing_until_it_is_resumed() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0")
    paused = acted(run, RolloutAction.PAUSE, "bob", NOW + 1)
    assert paused is not None
    assert paused.changed_by == "bob"
    end(servers, "s0")
    paused = step(paused, servers, NOW + 2)
    assert (paused.state, stages(paused)) == (RunState.PAUSED, "done waiting waiting")
    resumed = acted(paused, RolloutAction.RESUME, "bob", NOW + 90_000)
    assert resumed is not None
    assert stages(step(resumed, servers, NOW + 90_001)) == "done restarting waiting"


def test_cancelled_run_lets_its_open_restart_end() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0")
    cancelled = acted(run, RolloutAction.CANCEL, None, NOW)
    assert cancelled is not None
    run = step(cancelled, servers, NOW)
    assert (stages(run), run.ended_at) == ("restarting skipped skipped", None)
    end(servers, "s0")
    assert step(run, servers, NOW + 5).ended_at == NOW + 5


def ended_early(state: RunState, servers: Servers) -> Rollout:
    """Return a run that has restarted the first server, or failed to, and was then cancelled or aborted."""
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0")
    if state is RunState.CANCELLED:
        run = acted(run, RolloutAction.CANCEL, "bob", NOW) or run
    end(servers, "s0", succeeded=state is RunState.CANCELLED)
    run = step(run, servers, NOW + 1)
    assert (run.state, run.ended_at) == (state, NOW + 1)
    return run


def test_action_on_a_run_that_is_over_is_refused() -> None:
    cancelled = ended_early(RunState.CANCELLED, fleet(State.LOADED, workflows=()))
    assert acted(cancelled, RolloutAction.PAUSE, None, NOW) is None
    assert acted(cancelled, RolloutAction.RESUME, None, NOW) is None
    assert acted(cancelled, RolloutAction.CANCEL, None, NOW) is cancelled


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.ABORTED])
def test_resumed_run_goes_on_with_the_servers_that_it_has_left(state: RunState) -> None:
    servers = warm(3)
    ended = ended_early(state, servers)
    first = "done" if state is RunState.CANCELLED else "failed"
    assert [one.server for one in ended.left] == ["s1", "s2"]
    assert acted(ended, RolloutAction.PAUSE, None, NOW) is None
    resumed = acted(ended, RolloutAction.RESUME, "cat", NOW + 9)
    assert resumed is not None
    assert (stages(resumed), resumed.ended_at, resumed.reason, resumed.left) == (
        f"{first} waiting waiting",
        None,
        None,
        (),
    )
    assert (resumed.state, resumed.failures_in_a_row, resumed.changed_by) == (RunState.RUNNING, 0, "cat")
    run = step(resumed, servers, NOW + 10)
    assert (stages(run), asked(run, servers)) == (f"{first} restarting waiting", ["s1"])
    ids = {one.restart_id(member) for one in (ended, run) for member in one.members}
    assert len(ids) == 5  # the first server's is the same in both


def test_server_restarted_since_the_run_began_is_not_restarted_again() -> None:
    servers = warm(3)
    ended = ended_early(RunState.ABORTED, servers)
    begin(servers, "s1", "by-name")
    end(servers, "s1")
    resumed = acted(ended, RolloutAction.RESUME, None, NOW + 9)
    assert resumed is not None
    run = step(resumed, servers, NOW + 10)
    assert (stages(run), run.members[1].reason) == ("failed done restarting", RunReason.RESTARTED_MEANWHILE)


def test_resume_before_the_last_restart_has_ended_undoes_the_cancellation() -> None:
    servers = warm(2)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0")
    cancelled = acted(run, RolloutAction.CANCEL, None, NOW)
    assert cancelled is not None
    for seen in (cancelled, step(cancelled, servers, NOW)):
        resumed = acted(seen, RolloutAction.RESUME, None, NOW)
        assert resumed is not None
        assert (stages(resumed), resumed.state) == ("restarting waiting", RunState.RUNNING)


def test_request_that_never_begins_is_a_failure_in_the_end() -> None:
    servers = warm(2)
    run = step(run_over(servers), servers, NOW)
    assert asked(run, servers) == ["s0"]
    run = step(run, servers, NOW, at_point("s0", RestartPoint.DUE, START_PATIENCE_S))
    assert (run.state, reasons(run)[0]) == (RunState.ABORTED, RunReason.NOT_STARTED)


def test_returned_server_that_does_not_get_warm_is_a_failure() -> None:
    servers = warm(2)
    run = step(run_over(servers), servers, NOW)
    restart = RestartSeen(f"{RUN}-1", is_open=True, has_returned=True)
    servers["s0"] = servers["s0"]._replace(state=State.COLD, restart=restart)
    assert step(run, servers, NOW, at_point("s0", RestartPoint.RETURNED, WARM_PATIENCE_S - 1)).state is RunState.RUNNING
    run = step(run, servers, NOW, at_point("s0", RestartPoint.RETURNED, WARM_PATIENCE_S))
    assert (run.state, reasons(run)[0]) == (RunState.ABORTED, RunReason.NOT_WARM_IN_TIME)


def test_restart_that_a_person_cancelled_is_not_a_failure() -> None:
    servers = warm(2)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s0")
    end(servers, "s0", succeeded=None)
    run = step(run, servers, NOW)
    assert (run.state, reasons(run)[0]) == (RunState.RUNNING, RunReason.RESTART_CANCELLED)


def test_refused_request_skips_the_server() -> None:
    servers = warm(2)
    run = refused(step(run_over(servers), servers, NOW), "s0", NOW)
    assert run.members[0] == RolloutMember("s0", 1, MemberStage.SKIPPED, NOW, RunReason.REQUEST_REFUSED)


def test_run_without_room_for_hours_is_aborted() -> None:
    servers = fleet(State.LOADED, State.LOADED)
    servers["c"] = ServerFacts("c", "a", State.FAILED, ("w",))
    run = step(run_over(fleet(State.LOADED, State.LOADED)), servers, NOW, Waits(NO_PROGRESS_S - 1))
    assert run.state is RunState.RUNNING
    run = step(run, servers, NOW, Waits(NO_PROGRESS_S))
    assert (run.state, run.reason) == (RunState.ABORTED, RunReason.NO_PROGRESS)


@pytest.mark.parametrize("action", [RolloutAction.PAUSE, RolloutAction.CANCEL])
def test_stopped_run_asks_for_no_restart_that_was_decided_on(action: RolloutAction) -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    stopped = acted(run, action, None, NOW)
    assert stopped is not None
    assert asked(stopped, servers) == []
    assert stages(step(stopped, servers, NOW)).startswith("restarting ")


def test_resumed_run_asks_for_the_restart_that_was_decided_on() -> None:
    servers = warm(3)
    run: Rollout | None = step(run_over(servers), servers, NOW)
    for action in (RolloutAction.PAUSE, RolloutAction.RESUME):
        assert run is not None
        run = acted(run, action, None, NOW)
    assert run is not None
    assert asked(step(run, servers, NOW), servers) == ["s0"]


def test_cancelled_run_skips_a_restart_that_has_not_begun() -> None:
    servers = warm(3)
    run = acted(step(run_over(servers), servers, NOW), RolloutAction.CANCEL, None, NOW)
    assert run is not None
    assert step(run, servers, NOW, at_point("s0", RestartPoint.HELD, SEEN_WITHIN_S - 1)).ended_at is None
    run = step(run, servers, NOW, at_point("s0", RestartPoint.HELD, SEEN_WITHIN_S))
    assert (stages(run), set(reasons(run)), run.ended_at) == ("skipped skipped skipped", {RunReason.RUN_ENDED}, NOW)


def test_request_is_held_while_another_server_of_the_group_is_away() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    servers["s1"] = servers["s1"]._replace(state=State.UNREACHABLE)
    assert asked(step(run, servers, NOW), servers) == []
    assert obstacles(run, servers)["s0"] is RunReason.LIMIT_REACHED
    servers["s1"] = servers["s1"]._replace(state=State.LOADED)
    assert asked(step(run, servers, NOW), servers) == ["s0"]


def test_request_is_held_while_the_server_is_the_last_warm_one() -> None:
    servers = warm(3)
    servers["b"] = ServerFacts("b", "b", State.LOADED, ("v",))
    servers["s0"] = servers["s0"]._replace(workflows=("v",))
    run = step(run_over(servers, 2), servers, NOW)
    assert asked(run, servers) == ["s0", "s1"]
    servers["b"] = servers["b"]._replace(state=State.UNREACHABLE)
    assert asked(run, servers) == ["s1"]


def test_request_counts_servers_that_were_asked_and_are_not_seen() -> None:
    servers = warm(4)
    run = step(run_over(servers, 2), servers, NOW)
    servers["s3"] = servers["s3"]._replace(state=State.FAILED)
    assert [one.server for one in requests(run, servers)] == ["s0"]
    assert requests(run, servers, {"s0", "s1"}) == []


@pytest.mark.parametrize(
    ("state", "reason"),
    [(State.PAUSED, RunReason.SERVER_PAUSED), (State.UNREACHABLE, RunReason.SERVER_UNREACHABLE)],
)
def test_server_held_back_after_the_decision_is_skipped_in_the_end(state: State, reason: RunReason) -> None:
    servers = warm(2)
    run = step(run_over(servers), servers, NOW)
    begin(servers, "s1")
    end(servers, "s1")
    servers["s0"] = servers["s0"]._replace(state=state)
    assert asked(run, servers) == []
    waits = Waits(SKIP_AFTER_S, {"s0": (RestartPoint.HELD, SKIP_AFTER_S)})
    run = step(step(run, servers, NOW), servers, NOW, waits)
    assert (run.state, reasons(run)[0]) == (RunState.DONE, reason)


def test_hook_removed_after_the_decision_leaves_the_room_at_once() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    servers["s0"] = servers["s0"]._replace(has_hook=False)
    run = step(run, servers, NOW, at_point("s0", RestartPoint.HELD, SEEN_WITHIN_S))
    assert (stages(run), reasons(run)[0]) == ("skipped restarting waiting", RunReason.NO_HOOK)


def test_run_whose_decided_restart_never_has_room_is_aborted() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    servers["s1"] = servers["s1"]._replace(state=State.FAILED)
    waits = Waits(NO_PROGRESS_S, {"s0": (RestartPoint.HELD, NO_PROGRESS_S)})
    run = step(run, servers, NOW, waits)
    assert (run.state, run.reason, run.ended_at) == (RunState.ABORTED, RunReason.NO_PROGRESS, NOW)


def test_restart_that_ended_before_the_run_counts_under_any_clock() -> None:
    servers = warm(2)
    begin(servers, "s0", restart="other")
    end(servers, "s0")
    assert stages(step(run_over(servers), servers, NOW - 90_000)) == "restarting waiting"


def test_clock_that_is_set_forward_ends_no_patience() -> None:
    servers = warm(3)
    run = step(run_over(servers), servers, NOW)
    assert step(run, servers, NOW + 1e6) == run
    begin(servers, "s0")
    assert step(run, servers, NOW + 1e6) == run
