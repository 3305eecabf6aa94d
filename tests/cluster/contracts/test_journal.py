"""The contract of JournalPort: a file of a single daemon, and a node whose store or own file fails."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.pause import Pause
from statemachine.core.repetition import NO_STREAK, Streak
from statemachine.core.server import Attempt, Outcome
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence
from statemachine.journal.journal import BACKLOG_LIMIT
from statemachine.journal.port import JournalUnavailableError, SavedState
from tests.cluster.contracts.journals import (
    JournalHarness,
    entered,
    node_with_failing_file,
    node_with_failing_store,
    own_file,
)
from tests.cluster.nodes import make_view, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import attempt, entry


@pytest.fixture(params=[own_file, node_with_failing_store, node_with_failing_file])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[JournalHarness]:
    return entered(request.param, tmp_path)


@in_virtual_time
async def test_append_publishes_in_order_with_consecutive_numbers(harness: JournalHarness) -> None:
    harness.append("one", "two")
    assert harness.published == []
    await settled()
    harness.append("three")
    await settled()
    assert harness.published == [("one", 1), ("two", 2), ("three", 3)] == await harness.stored()


@in_virtual_time
async def test_append_keeps_the_order_of_each_server(harness: JournalHarness) -> None:
    for number in range(20):
        harness.append(f"a{number}", server="a")
        harness.append(f"b{number}", server="b")
    await settled()
    for server in "ab":
        mine = [message for message, _ in harness.published if message.startswith(server)]
        assert mine == [f"{server}{number}" for number in range(20)]
    assert sorted(seq or 0 for _, seq in harness.published) == [*range(1, 41)]


@in_virtual_time
async def test_append_publishes_after_the_entry_is_stored(harness: JournalHarness) -> None:
    seen: list[asyncio.Task[list[tuple[str, int | None]]]] = []
    harness.listener.on_entry = lambda _: seen.append(asyncio.ensure_future(harness.stored()))
    harness.append("one")
    await settled()
    assert [await one for one in seen] == [[("one", 1)]]


@in_virtual_time
async def test_append_failing_listener_misses_only_that_entry(harness: JournalHarness) -> None:
    def fail_at_some(one: LogEntry) -> None:
        if sentence(one.message) in {"one", "three"}:
            raise RuntimeError("injected")
        harness.record(one)

    harness.listener.on_entry = fail_at_some
    harness.append("one", "two")
    await settled()
    assert harness.published == [("two", 2)]
    await harness.break_and_wait()
    harness.append("three", "four")
    await harness.repair_and_wait()
    assert [message for message, _ in await harness.stored()] == ["one", "two", "x", "three", "four"]


@in_virtual_time
async def test_append_from_a_listener_is_published(harness: JournalHarness) -> None:
    def append_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            harness.append("two")
        harness.record(one)

    harness.listener.on_entry = append_once
    harness.append("one")
    await settled()
    assert harness.published == [("one", 1), ("two", 2)]


@in_virtual_time
async def test_saved_states_has_open_attempt_and_pause(harness: JournalHarness) -> None:
    harness.append("nothing special", server="a")
    await harness.journal.append_durably(attempt("p1", server="a"))
    paused = entry("paused", server="b", dest=State.PAUSED)
    harness.journal.append(paused, None, make_view("b", State.PAUSED))
    await settled()
    saved_states = await (await harness.successor(harness)).saved_states(["a", "b"])
    found = saved_states["a"].attempt
    assert found is not None
    assert (found.prompt_id, found.outcome, found.instance, saved_states["a"].paused) == (
        "p1",
        Outcome.RECORDED,
        "4f",
        False,
    )
    assert saved_states["b"] == SavedState(None, paused=True)


@in_virtual_time
async def test_saved_states_has_failures_in_a_row(harness: JournalHarness) -> None:
    harness.append("nothing special", server="a")
    for count in (1, 2):
        harness.journal.save_streak("a", Streak(Reason.WARM_UP_ENDS_SERVER, count))
        await settled()
    saved_states = await (await harness.successor(harness)).saved_states(["a"])
    assert saved_states["a"] == SavedState(None, streak=Streak(Reason.WARM_UP_ENDS_SERVER, 2))


@in_virtual_time
async def test_saved_states_has_the_terms_of_a_pause(harness: JournalHarness) -> None:
    """Another daemon, or another node, ends the pause at its time."""
    terms = Pause(1_767_225_600.0, "driver update", "ops")
    for one in (Pause(), terms):
        harness.journal.save_pause("a", one)
        harness.journal.append(entry("paused", server="a", dest=State.PAUSED), None, make_view("a", State.PAUSED))
        await settled()
    saved_states = await (await harness.successor(harness)).saved_states(["a"])
    assert saved_states["a"] == SavedState(None, paused=True, pause=terms)


@in_virtual_time
async def test_saved_states_has_no_failures_that_are_overcome(harness: JournalHarness) -> None:
    harness.append("nothing special", server="a")
    for streak in (Streak(Reason.PROMPT_LOST, 3), NO_STREAK):
        harness.journal.save_streak("a", streak)
        await settled()
    saved_states = await (await harness.successor(harness)).saved_states(["a"])
    assert saved_states["a"] == SavedState(None)


@in_virtual_time
async def test_append_durably_attempt_survives_at_once(harness: JournalHarness) -> None:
    await harness.journal.append_durably(attempt("p1"))
    found = (await (await harness.successor(harness)).saved_states(["a", "b"]))["a"].attempt
    assert found is not None
    assert found.prompt_id == "p1"


@in_virtual_time
async def test_saved_states_ended_attempt_is_left_out(harness: JournalHarness) -> None:
    one = attempt("p1")
    await harness.journal.append_durably(one)
    one.outcome, one.ended_at = Outcome.SUCCEEDED, 101.0
    harness.journal.append(entry("done"), one, make_view())
    await settled()
    assert (await (await harness.successor(harness)).saved_states(["a", "b"]))["a"].attempt is None


@in_virtual_time
async def test_saved_states_unknown_servers_is_empty(harness: JournalHarness) -> None:
    assert not await (await harness.successor(harness)).saved_states(["a", "b"])


@in_virtual_time
async def test_append_attempt_stores_it_as_it_was_then(harness: JournalHarness) -> None:
    one = attempt("p1")
    await harness.journal.append_durably(one)
    one.outcome = Outcome.ACCEPTED
    harness.journal.append(None, one)
    one.message = verbatim("changed later")
    await settled()
    ((back,), _) = (await harness.journal.file.histories(["a"], 9, 9))[0]
    assert (back.outcome, sentence(back.message)) == (Outcome.ACCEPTED, "")


@in_virtual_time
async def test_append_unencodable_text_is_stored(harness: JournalHarness) -> None:
    odd = "half a \ud83d, a \0, and 显卡"
    one = Attempt("a", "w", "p1", 100.0, server_prompt_id=odd, message=verbatim(odd))
    await harness.journal.append_durably(one)
    harness.journal.append(entry(odd), one, make_view(message=verbatim(odd), missing=(odd,)))
    harness.append("after it")
    await settled()
    assert [seq for _, seq in harness.published] == [1, 2]
    assert harness.journal.healthy


@in_virtual_time
async def test_append_durably_broken_journal_raises(harness: JournalHarness) -> None:
    await harness.break_and_wait()
    with pytest.raises(JournalUnavailableError):
        await harness.journal.append_durably(attempt())
    await harness.repair_and_wait()
    await harness.journal.append_durably(attempt())


@in_virtual_time
async def test_append_while_broken_publishes_once_and_stores_later(harness: JournalHarness) -> None:
    harness.append("before")
    await settled()
    await harness.break_and_wait()
    harness.append("one", "two")
    await settled()
    assert harness.published == [("before", 1), ("x", None), ("one", None), ("two", None)]
    await harness.repair_and_wait()
    harness.append("after")
    await settled()
    assert harness.published[4:] == [("after", 5)]
    assert await harness.stored() == [("before", 1), ("x", 2), ("one", 3), ("two", 4), ("after", 5)]


@in_virtual_time
async def test_on_health_reports_each_change_once(harness: JournalHarness) -> None:
    await harness.break_and_wait()
    harness.append("y")
    await settled()
    await harness.repair_and_wait()
    harness.append("z")
    await settled()
    assert harness.health == [False, True]


@in_virtual_time
async def test_append_while_broken_drops_beyond_the_limit(harness: JournalHarness) -> None:
    await harness.break_and_wait()
    for number in range(BACKLOG_LIMIT + 4):
        harness.append(str(number), server=f"server {number}")
    assert harness.journal.waiting <= BACKLOG_LIMIT + 1
    assert harness.journal.dropped in {4, 5}
    await settled()
    assert len(harness.published) == BACKLOG_LIMIT + 5


@in_virtual_time
async def test_append_durably_cancelled_changes_nothing_else(harness: JournalHarness) -> None:
    waiting = asyncio.ensure_future(harness.journal.append_durably(attempt()))
    await asyncio.sleep(0)
    waiting.cancel()
    harness.append("one")
    await settled()
    assert harness.published == [("one", 1)]
    await harness.journal.append_durably(attempt("p2"))


@in_virtual_time
async def test_ping_returns_in_time(harness: JournalHarness) -> None:
    async with asyncio.timeout(1):
        await harness.journal.ping()
