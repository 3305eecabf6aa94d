"""Several daemons over one fleet: only the alert leader sends, and another node replaces it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from statemachine.alerts.service import LEADER_TIMEOUT_S
from statemachine.core.vocabulary import State
from tests.alerts.harness import AlertHarness, alert_settings

pytestmark = pytest.mark.looptime

AT_ONCE = {"states": ["failed"], "for_s": 0}


@asynccontextmanager
async def follower() -> AsyncIterator[AlertHarness]:
    """Run an alert service that is not the leader."""
    harness = AlertHarness()
    harness.is_alert_leader = False
    async with harness.running(alert_settings(AT_ONCE, gather_s=0)):
        yield harness


def titles(harness: AlertHarness) -> list[str]:
    return [title for recorder in harness.recorders.values() for title in recorder.titles]


async def test_follower_sends_nothing_and_confirms_after_timeout() -> None:
    async with follower() as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(LEADER_TIMEOUT_S + 5)
        harness.is_alert_leader = True
        await asyncio.sleep(300)
        assert titles(harness) == []
        assert [one.alert.subject for one in harness.store.sent] == ["192.0.2.1:8188"]


async def test_follower_becoming_leader_sends_recent_alert() -> None:
    async with follower() as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(LEADER_TIMEOUT_S - 5)
        assert titles(harness) == []
        harness.is_alert_leader = True
        await asyncio.sleep(3)
        assert len(titles(harness)) == 1
        await asyncio.sleep(300)
        assert len(titles(harness)) == 1


async def test_new_leader_sends_recovery_of_earlier_alert() -> None:
    async with follower() as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(LEADER_TIMEOUT_S + 5)
        harness.is_alert_leader = True
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(5)
        (recovered,) = titles(harness)
        assert recovered.startswith("comfywarm: recovered: 1 server")


async def test_new_leader_ignores_alert_that_ended_before() -> None:
    async with follower() as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(5)
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(LEADER_TIMEOUT_S + 5)
        harness.is_alert_leader = True
        await asyncio.sleep(300)
        assert titles(harness) == []
        assert harness.store.sent == []


async def test_former_leader_sends_nothing() -> None:
    async with follower() as harness:
        harness.is_alert_leader = True
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(5)
        harness.is_alert_leader = False
        harness.set_state(State.FAILED, 2)
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(300)
        assert len(titles(harness)) == 1
