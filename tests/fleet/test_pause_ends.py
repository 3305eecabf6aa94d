"""A pause with an end and a note: it ends by itself, also in a later run of the daemon."""

from pathlib import Path

from statemachine.core import events as e
from statemachine.core.machine import Machine
from statemachine.core.pause import Pause, PauseTerms
from statemachine.core.server import Server
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import render
from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon
from tests.support.daemon import Json, daemon_in_process


def test_pause_again_moves_the_end_and_the_same_terms_change_nothing() -> None:
    machine, server = Machine(), Server("a")
    terms = PauseTerms(1_767_225_600.0, "driver update")
    (made,) = machine.apply(server, e.PauseRequested("ops", terms), 1.0)
    assert render(made.message, "en") == (
        "the operator paused the server until 2026-01-01 00:00 UTC: driver update (by ops)"
    )
    assert (server.pause, server.waiting.until) == (Pause(*terms, "ops"), terms.until)
    assert machine.apply(server, e.PauseRequested("ops", terms), 2.0) == []
    (moved,) = machine.apply(server, e.PauseRequested("ops"), 3.0)
    assert (moved.dest, server.since, server.pause) == (State.PAUSED, 1.0, Pause(None, "", "ops"))
    (ended,) = machine.apply(server, e.PauseEnded(), 4.0)
    assert (ended.dest, ended.reason, server.pause) == (State.UNKNOWN, Reason.PAUSE_ENDED, Pause())
    assert machine.apply(server, e.PauseEnded(), 5.0) == []


async def pause_in_an_earlier_run(folder: Path, servers: list[str], **terms: str) -> str:
    """Run a daemon, pause its server and stop the daemon; return the server's name."""
    async with daemon_in_process(folder, {"servers": servers}) as running:
        name = servers[0].removeprefix("http://")
        async with running.session.post(f"{running.address}/api/servers/{name}/pause", json=terms) as response:
            assert response.status == 202
        await running.wait_for_detail(name, lambda one: one["state"] == "paused")
    return name


async def test_pause_keeps_its_terms_over_a_restart(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        name = await pause_in_an_earlier_run(tmp_path, fleet.urls, **{"for": "1h", "note": "driver update"})
        async with daemon(tmp_path, fleet.urls) as recorder:
            one: Json = await recorder.detail(name)
    assert (one["state"], one["reason"]) == ("paused", "pause_requested")
    assert (one["pause"]["note"], one["pause"]["by"]) == ("driver update", None)
    assert one["pause"]["until"][:16] == one["next_action_at"][:16]
    assert "driver update" in one["message"]


async def test_pause_ends_in_a_later_run(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        await pause_in_an_earlier_run(tmp_path, fleet.urls, **{"for": "2s"})
        async with daemon(tmp_path, fleet.urls) as recorder:
            _, ended = await recorder.reached("unknown", 0)
            await recorder.reached("loaded", 0)
    assert ended["reason"] == "pause_ended"
