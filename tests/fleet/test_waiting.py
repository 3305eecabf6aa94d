"""What each server waits for, and until when, in every state in which the daemon knows it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import EventRecorder, daemon
from tests.support.daemon import Json
from tests.support.polling import wait_for

TIMING = {"retry_s": 0.1, "failed_retry_s": 600, "link_backoff_max_s": 60, "http_timeout_s": 2}
SLOW = replace(PROFILES["cold"], load_seconds=30.0)


async def shown(recorder: EventRecorder, server: str, fits: Callable[[Json], bool]) -> Json:
    """Return the server's details once they fit."""
    return await wait_for(lambda: recorder.detail(server), fits)


def left_s(one: Json, now: str) -> float:
    return (datetime.fromisoformat(one["next_action_at"]) - datetime.fromisoformat(now)).total_seconds()


async def test_failed_server_has_the_time_of_its_next_attempt(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["raising"]]) as fleet, daemon(tmp_path, fleet.urls, timing=TIMING) as recorder:
        _, failed = await recorder.reached("failed")
        one = await shown(recorder, failed["server"], lambda one: one["next_action_at"] is not None)
    assert (one["state"], one["waiting_for"], one["next_action_at_most"]) == ("failed", "next attempt", False)
    assert 500.0 < left_s(one, failed["at"]) < 700.0


async def test_loaded_server_has_the_time_of_its_next_check(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]]) as fleet, daemon(tmp_path, fleet.urls) as recorder:
        _, loaded = await recorder.reached("loaded")
        one = await shown(recorder, loaded["server"], lambda one: one["next_action_at"] is not None)
    assert (one["state"], one["waiting_for_code"]) == ("loaded", "wait.check")


async def test_cold_servers_are_shown_their_places_in_line(tmp_path: Path) -> None:
    limits = {"max_warming": 1, "max_warming_per_host": 1}
    async with running_fleet([SLOW] * 3) as fleet, daemon(tmp_path, fleet.urls, limits=limits) as recorder:
        _, warming = await recorder.reached("warming")
        names = {url.removeprefix("http://") for url in fleet.urls} - {warming["server"]}
        lines = [
            await shown(recorder, name, lambda one: one["waiting_for_code"] == "wait.permit") for name in sorted(names)
        ]
        running = await shown(recorder, warming["server"], lambda one: one["next_action_at"] is not None)
    assert sorted(one["waiting_for"] for one in lines) == [
        f"1 of 1 warm-ups running, number {place} in line" for place in (1, 2)
    ]
    assert (running["waiting_for_code"], running["next_action_at_most"]) == ("wait.warm_up", True)


async def test_busy_server_has_the_latest_end_of_its_wait(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["cold"]]) as fleet:
        (server,) = fleet.servers
        server.start_foreign_job(60.0)
        async with daemon(tmp_path, fleet.urls, timing={"busy_wait_s": 1_800}) as recorder:
            _, cold = await recorder.reached("cold")
            one = await shown(recorder, cold["server"], lambda one: one["waiting_for_code"] == "wait.busy_queue")
    assert one["next_action_at_most"]
    assert 1_700.0 < left_s(one, cold["at"]) < 1_801.0
