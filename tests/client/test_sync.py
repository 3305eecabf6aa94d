"""`SyncFleet`: the same without asyncio, also in a thread that has a loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest

from statemachine.client import Fleet, NotWarmError, SyncFleet, UnknownNameError
from statemachine.core.ports import Action
from tests.cli.rig import SmallDaemon
from tests.web.site import COLD, LOADED

T = TypeVar("T")


async def in_thread(daemon: SmallDaemon, work: Callable[[SyncFleet], T]) -> T:
    """Return the result of `work` with a fleet, in a thread beside the daemon."""

    def run() -> T:
        with SyncFleet(f"http://127.0.0.1:{daemon.port}") as fleet:
            return work(fleet)

    return await asyncio.to_thread(run)


def test_sync_fleet_has_every_method_of_the_fleet() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(SyncFleet) == public(Fleet)


async def test_sync_fleet_asks_and_acts(daemon: SmallDaemon) -> None:
    def work(fleet: SyncFleet) -> tuple[object, ...]:
        fleet.wait_until_warm(LOADED)
        for act in (fleet.check, fleet.warm, fleet.resume):
            act(COLD)
        fleet.pause(group="default", duration="2h")
        return fleet.status()["total"], fleet.route()["server"], fleet.log()["entries"]

    assert await in_thread(daemon, work) == (2, LOADED, [])
    assert [action for _, action in daemon.operator.actions[:3]] == [Action.CHECK, Action.WARM, Action.RESUME]


async def test_sync_fleet_raises_the_errors_of_the_fleet(daemon: SmallDaemon) -> None:
    def work(fleet: SyncFleet) -> None:
        with pytest.raises(UnknownNameError):
            fleet.warm("nowhere")
        with pytest.raises(NotWarmError):
            fleet.wait_until_warm(timeout_s=0.1)

    await in_thread(daemon, work)


async def test_sync_events_are_an_iterator(daemon: SmallDaemon) -> None:
    await daemon.write(COLD, ["one", "two"])

    def work(fleet: SyncFleet) -> list[str]:
        events = fleet.events(since=0)
        return [next(events)["message"], next(events)["message"]]

    assert await in_thread(daemon, work) == ["one", "two"]


async def test_sync_fleet_works_beside_a_loop_and_after_close(daemon: SmallDaemon) -> None:
    async def in_a_loop(fleet: SyncFleet) -> object:
        return fleet.status()["total"]

    def work(fleet: SyncFleet) -> list[object]:
        first = asyncio.run(in_a_loop(fleet))
        fleet.close()
        return [first, fleet.status()["total"]]

    assert await in_thread(daemon, work) == [2, 2]
