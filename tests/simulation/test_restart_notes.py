"""What the event log notes of one restart by a hook, and of another one that follows it."""

import asyncio

import pytest

from statemachine.core.ports import Action
from statemachine.core.vocabulary import Reason, State
from tests.simulation.restart_rig import Hook, RestartRig, run_story

RESTARTS = (Reason.SERVER_RETURNED, Reason.SERVER_RESTARTED, Reason.LINK_RESTORED)


async def returned(rig: RestartRig) -> None:
    """Restart the loaded server, and wait until it has returned."""
    await rig.until_state(State.LOADED)
    await rig.ask(Action.RESTART)
    await rig.until_state(State.RESTARTING)
    await rig.until(lambda view: view.state is not State.RESTARTING)


@pytest.mark.parametrize("away_s", [1.0, 5.0, 12.0])
def test_restart_by_a_hook_is_noted_once_and_warmed_at_once(away_s: float) -> None:
    """The connection, which was refused meanwhile, is not taken for another restart, and not waited for."""

    async def story(rig: RestartRig) -> None:
        for _ in range(3):
            await returned(rig)
            await rig.until(lambda view: view.state is State.LOADED, within_s=4.0)
        await asyncio.sleep(60.0)
        assert rig.noted(*RESTARTS) == [Reason.SERVER_RETURNED] * 3

    run_story(story, Hook(away_s=away_s))


@pytest.mark.parametrize(("after_s", "reason"), [(0.0, Reason.SERVER_RESTARTED), (5.0, Reason.LINK_LOST)])
def test_restart_soon_after_a_return_is_noted_too(after_s: float, reason: Reason) -> None:
    """The server is warmed once more, whether it was loaded or being warmed."""

    async def story(rig: RestartRig) -> None:
        await returned(rig)
        await asyncio.sleep(after_s)
        await rig.server.go_down()
        await asyncio.sleep(0.7)
        await rig.server.come_back()
        await rig.until(lambda _: len(rig.noted(Reason.KEYS_MISSING)) == 3)
        await rig.until_state(State.LOADED)
        assert rig.noted(Reason.SERVER_RETURNED, reason) == [Reason.SERVER_RETURNED, reason]

    run_story(story)
