"""Of several daemons over one fleet, one tells people of its troubles; should it die, another one does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from statemachine.alerts.service import OTHERS_SPEAK_S
from statemachine.core.vocabulary import State
from tests.alerts.harness import AlertHarness, alert_settings

pytestmark = pytest.mark.looptime

AT_ONCE = {"states": ["failed"], "for_s": 0}


@asynccontextmanager
async def listener() -> AsyncIterator[AlertHarness]:
    """A daemon that hears of everything, and is not the one that is_alert_leader."""
    site = AlertHarness()
    site.is_alert_leader = False
    async with site.running(alert_settings(AT_ONCE, gather_s=0)):
        yield site


def said(site: AlertHarness) -> list[str]:
    return [title for recorder in site.recorders.values() for title in recorder.titles]


async def test_while_another_speaks_nothing_is_said_and_all_is_settled() -> None:
    async with listener() as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(OTHERS_SPEAK_S + 5)
        site.is_alert_leader = True
        await asyncio.sleep(300)
        assert said(site) == []
        assert [one.trouble.subject for one in site.store.told] == ["192.0.2.1:8188"]


async def test_should_the_speaker_die_what_it_may_not_have_said_is_said() -> None:
    async with listener() as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(OTHERS_SPEAK_S - 5)
        assert said(site) == []
        site.is_alert_leader = True
        await asyncio.sleep(3)
        assert len(said(site)) == 1
        await asyncio.sleep(300)
        assert len(said(site)) == 1


async def test_the_next_speaker_tells_the_end_of_what_another_has_told() -> None:
    async with listener() as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(OTHERS_SPEAK_S + 5)
        site.is_alert_leader = True
        site.see(State.LOADED, 1)
        await asyncio.sleep(5)
        (recovered,) = said(site)
        assert recovered.startswith("comfywarm: recovered: 1 server")


async def test_what_began_and_ended_while_another_spoke_is_not_said_later() -> None:
    async with listener() as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(5)
        site.see(State.LOADED, 1)
        await asyncio.sleep(OTHERS_SPEAK_S + 5)
        site.is_alert_leader = True
        await asyncio.sleep(300)
        assert said(site) == []
        assert site.store.told == []


async def test_who_speaks_no_more_says_nothing_new() -> None:
    async with listener() as site:
        site.is_alert_leader = True
        site.see(State.FAILED, 1)
        await asyncio.sleep(5)
        site.is_alert_leader = False
        site.see(State.FAILED, 2)
        site.see(State.LOADED, 1)
        await asyncio.sleep(300)
        assert len(said(site)) == 1
