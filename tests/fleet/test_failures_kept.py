"""Failures in a row are kept over a restart of the daemon."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from campaigns.simulation.loop import VirtualLoop
from statemachine.core.messages import Message
from statemachine.core.repetition import NO_STREAK, Streak, streak_of_failed
from statemachine.core.server import Attempt, Outcome, Server
from statemachine.core.vocabulary import Reason
from statemachine.fleet.context import ServerContext
from statemachine.fleet.recovery import restore_later
from statemachine.journal.port import JournalPort, JournalUnavailableError, SavedState
from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon

DYING = replace(PROFILES["dying"], load_seconds=0.2, down_seconds=0.1)
TIMING = {"retry_s": 0.1, "failed_retry_s": 600, "link_backoff_max_s": 0.5, "lost_grace_s": 0.5, "http_timeout_s": 2}


async def test_deaths_under_warm_ups_count_over_restarts_of_the_daemon(tmp_path: Path) -> None:
    """Each daemon sees one death at most, and is stopped as soon as it has counted it."""
    async with running_fleet([DYING]) as fleet:
        (server,) = fleet.servers
        seen = 0
        for _ in range(2):
            async with daemon(tmp_path, fleet.urls, timing=TIMING) as recorder:
                await recorder.reached("warming", seen)
                await recorder.reached("cold", recorder.length)
                seen = recorder.length
        async with daemon(tmp_path, fleet.urls, timing=TIMING) as recorder:
            _, failed = await recorder.reached("failed")
        assert failed["reason"] == "warm_up_ends_server"
        assert len(server.log) == 3


class OpensLater:
    """A journal that cannot be read at first."""

    def __init__(self, saved: SavedState) -> None:
        self._saved = saved
        self._reads = 0

    async def saved_states(self, servers: Collection[str]) -> Mapping[str, SavedState]:
        self._reads += 1
        if self._reads == 1:
            raise JournalUnavailableError("not open")
        return dict.fromkeys(servers, self._saved)


@pytest.mark.parametrize("loaded_at", [None, 1.0])
def test_failures_are_restored_later_unless_they_are_overcome(loaded_at: float | None) -> None:
    died_twice = Streak(Reason.WARM_UP_ENDS_SERVER, 2)
    server = Server("a", loaded_at=loaded_at)
    context = SimpleNamespace(server=server, workflows={})
    journal = cast(JournalPort, OpensLater(SavedState(streak=died_twice)))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(restore_later(journal, {"a": cast(ServerContext, context)}))
    assert server.streak == (died_twice if loaded_at is None else NO_STREAK)


@pytest.mark.parametrize("code", ["partly_refused", "post_failed"])
def test_open_prompt_of_which_a_part_was_refused_stays_refused(code: str) -> None:
    attempt = Attempt("a", "w", "ours", 0.0, outcome=Outcome.ACCEPTED, message=Message(code))
    clock = SimpleNamespace(now=lambda: 1.0)
    context = SimpleNamespace(server=Server("a"), workflows={}, fleet=SimpleNamespace(clock=clock))
    journal = cast(JournalPort, OpensLater(SavedState(attempt)))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(restore_later(journal, {"a": cast(ServerContext, context)}))
    assert context.server.open_attempt is attempt
    assert attempt.partly_refused is (code == "partly_refused")


@pytest.mark.parametrize(
    ("reason", "gave_up"), [(Reason.PROMPT_LOST, True), (Reason.PROMPT_FAILED, False), (Reason.RETRY_DUE, False)]
)
def test_failure_of_an_older_version_is_resumed(reason: Reason, *, gave_up: bool) -> None:
    assert streak_of_failed(reason).gave_up is gave_up
