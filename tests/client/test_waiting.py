"""`wait_until_warm` and `events`: what happens while a program waits."""

import asyncio
from contextlib import aclosing

import pytest

from statemachine.client import DaemonUnavailableError, Fleet, NotWarmError
from statemachine.client.answers import EventAnswer, ServerAnswer, StatusAnswer
from statemachine.client.warm_wait import Goal, WarmTally
from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import Reason, State
from tests.cli.rig import SmallDaemon
from tests.web.site import COLD, LOADED, transition_entry


def loaded(server: str) -> LogEntry:
    """Return the transition of a server to loaded."""
    return transition_entry(server, "m")._replace(dest=State.LOADED, reason=Reason.ALL_CACHED.value)


async def test_wait_for_a_loaded_server_returns_at_once(fleet: Fleet) -> None:
    await fleet.wait_until_warm(LOADED)
    await fleet.wait_until_warm(at_least=1)


@pytest.mark.parametrize(("server", "group"), [(COLD, None), (None, "default"), (None, None)])
async def test_wait_ends_when_the_last_server_is_loaded(
    daemon: SmallDaemon, fleet: Fleet, server: str | None, group: str | None
) -> None:
    waiting = asyncio.create_task(fleet.wait_until_warm(server, group=group))
    await daemon.wait_for_requests("/api/status", times=1)
    await daemon.record(transition_entry(COLD, "still cold"))
    assert not waiting.done()
    await daemon.record(loaded(COLD))
    await waiting


async def test_wait_goes_on_over_a_restart_of_the_daemon(daemon: SmallDaemon, fleet: Fleet) -> None:
    waiting = asyncio.create_task(fleet.wait_until_warm())
    await daemon.wait_for_requests("/api/status", times=1)
    await daemon.stop()
    await daemon.start()
    await daemon.wait_for_requests("/api/status", times=2)
    await daemon.record(loaded(COLD))
    await waiting


async def test_wait_that_ends_too_late_names_servers_and_reasons(fleet: Fleet) -> None:
    with pytest.raises(
        NotWarmError, match=rf"1 servers are not loaded after 0.3 s: {COLD} \(cold/keys_missing\)"
    ) as end:
        await fleet.wait_until_warm(timeout_s=0.3)
    assert end.value.waiting == {COLD: "cold/keys_missing"}
    assert isinstance(end.value, TimeoutError)


def answer(name: str, state: str, since: str, group: str = "a") -> ServerAnswer:
    return ServerAnswer(
        name=name,
        group=group,
        state=state,
        since=since,
        reason="r",
        message="m",
        cache_loaded=state == "loaded",
        progress=None,
        queue_remaining=None,
    )


def status(*servers: ServerAnswer) -> StatusAnswer:
    return StatusAnswer(generated_at="2026-01-01T00:00:09Z", servers=list(servers), states={}, total=len(servers))


def transition(name: str | None, to: str | None, at: str) -> EventAnswer:
    return EventAnswer({"id": 1, "at": at, "server": name, "from": "cold", "to": to, "reason": "r", "message": "m"})


def test_tally_ignores_events_older_than_the_status() -> None:
    tally = WarmTally(Goal())
    tally.set_status(status(answer("a", "cold", "2026-01-01T00:00:05Z")))
    tally.note(transition("a", "loaded", "2026-01-01T00:00:04Z"))
    tally.note(transition(None, None, "2026-01-01T00:00:06Z"))
    assert not tally.is_reached
    tally.note(transition("a", "loaded", "2026-01-01T00:00:05Z"))
    assert tally.is_reached
    tally.note(transition("a", "unknown", "2026-01-01T00:00:06Z"))
    assert not tally.is_reached


def test_tally_counts_new_servers_and_forgets_removed_ones() -> None:
    tally = WarmTally(Goal(group="a"))
    early = "2026-01-01T00:00:01Z"
    tally.set_status(status(answer("a", "loaded", early), answer("b", "cold", early, "b")))
    assert tally.is_reached
    tally.note(transition("new", "unknown", "2026-01-01T00:00:02Z"))
    assert tally.waiting() == {"new": "unknown/r"}
    tally.set_status(status(answer("a", "loaded", early)))
    assert tally.is_reached


async def test_events_resume_by_id_after_a_restart(daemon: SmallDaemon, fleet: Fleet) -> None:
    seen: list[str] = []
    async with aclosing(fleet.events(server=COLD)) as events:
        first = asyncio.ensure_future(anext(events))
        await daemon.wait_for_requests("/api/events", times=1)
        await daemon.write(COLD, ["one"])
        seen.append((await first)["message"])
        await daemon.stop()
        await daemon.start()
        await daemon.write(COLD, ["two"])
        await daemon.write(LOADED, ["of another server"])
        await daemon.write(COLD, ["three"])
        seen += [(await anext(events))["message"], (await anext(events))["message"]]
    assert seen == ["one", "two", "three"]


async def test_events_since_an_id_begin_after_it(daemon: SmallDaemon, fleet: Fleet) -> None:
    await daemon.write(COLD, ["one", "two", "three"])
    async with aclosing(fleet.events(since=1)) as events:
        assert [(await anext(events))["message"] for _ in range(2)] == ["two", "three"]


async def test_events_of_a_daemon_away_for_too_long_end(daemon: SmallDaemon, fleet: Fleet) -> None:
    await daemon.write(COLD, ["one"])
    async with aclosing(fleet.events(since=0, patience_s=0)) as events:
        assert (await anext(events))["message"] == "one"
        await daemon.stop()
        with pytest.raises(DaemonUnavailableError):
            await anext(events)
    await daemon.start()
