"""The alerts of a daemon in virtual time, between a bus and channels of the test's own."""

import asyncio

import pytest

from statemachine.alerts.service import SAVE_PAUSE_S
from statemachine.core.vocabulary import Notice, State
from tests.alerts.harness import AlertHarness, MemoryStore, Recorder, alert_settings, server_error

pytestmark = pytest.mark.looptime

DOWN = {"states": ["failed", "unreachable"], "for_s": 120}


async def test_without_rules_nothing_is_said_and_nothing_waits() -> None:
    async with AlertHarness().running(alert_settings(channels=())) as site:
        site.see(State.FAILED, 1, 2, 3)
        await asyncio.sleep(3600)
        assert site.recorders == {}


async def test_a_trouble_is_told_after_its_time_and_so_is_its_end() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as site:
        await asyncio.sleep(7)
        site.see(State.FAILED, 1)
        await asyncio.sleep(120 + 15 + 1)
        ((at, notification),) = site.recorders["ops"].notifications
        assert 7 + 135 <= at <= 7 + 136
        assert notification.title == "comfywarm: 1 server failed for 2 min: 192.0.2.1:8188: failed!"
        site.see(State.LOADED, 1)
        await asyncio.sleep(1)
        assert site.recorders["ops"].titles[1:] == [
            "comfywarm: recovered: 1 server loaded again after 2 min: 192.0.2.1:8188"
        ]
        assert site.counts("ops") == {"sent": 2.0}


async def test_recoveries_can_be_left_out() -> None:
    async with AlertHarness().running(alert_settings(DOWN, recovery=False)) as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(200)
        site.see(State.LOADED, 1)
        await asyncio.sleep(200)
        assert len(site.recorders["ops"].notifications) == 1
        assert site.store.told == []
        site.see(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(site.recorders["ops"].notifications) == 2


async def test_notices_are_alerts() -> None:
    async with AlertHarness().running(alert_settings({"notices": ["fleet_vanished", "settings_refused"]})) as site:
        site.see(State.LOADED, *range(1, 11))
        site.notice(Notice.FLEET_VANISHED)
        await asyncio.sleep(60)
        site.notice(Notice.FLEET_BACK)
        site.notice(Notice.SETTINGS_RELOADED)
        await asyncio.sleep(200)
        firing, recovered = site.recorders["ops"].titles
        assert firing.startswith("comfywarm: most servers stopped answering at once")
        assert recovered.startswith("comfywarm: over after 3 min: most servers stopped answering at once")


async def test_a_channel_that_hangs_delays_neither_the_others_nor_the_bus() -> None:
    site = AlertHarness()
    site.recorders["stuck"] = Recorder()
    site.recorders["stuck"].hangs = True
    settings = alert_settings({"to": ["stuck", "ops"], "states": ["failed"]}, channels=("stuck", "ops"), gather_s=0)
    async with site.running(settings):
        for host in range(1, 6):
            site.see(State.FAILED, host)
            await asyncio.sleep(10)
        assert len(site.recorders["ops"].notifications) == 5
        assert len(site.recorders["stuck"].tries) == 1
        assert site.store.told == [], "what one channel has not got is not remembered as told"
    assert site.counts("stuck") == {"dropped": 5.0}


async def test_a_restart_does_not_tell_again_and_tells_the_recovery() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.see(State.FAILED, 1, 2)
        await asyncio.sleep(200)
        assert len(before.recorders["ops"].notifications) == 1
    assert [one.trouble.subject for one in store.told] == ["192.0.2.1:8188", "192.0.2.2:8188"]
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        for state in (State.UNKNOWN, State.CHECKING, State.FAILED):
            after.see(state, 1, 2)
            await asyncio.sleep(200)
        assert after.recorders["ops"].titles == []
        after.see(State.LOADED, 1, 2)
        await asyncio.sleep(1)
        assert after.recorders["ops"].titles == [
            "comfywarm: recovered: 2 servers loaded again after 13 min: 192.0.2.1:8188, 192.0.2.2:8188"
        ]
    assert store.told == []


async def test_what_no_channel_took_before_the_end_is_told_by_the_next_run() -> None:
    store = MemoryStore()
    site = AlertHarness(store)
    site.recorders["ops"] = Recorder(*[server_error() for _ in range(99)])
    async with site.running(alert_settings(DOWN)):
        site.see(State.FAILED, 1)
        await asyncio.sleep(200)
    assert store.told == []
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        after.see(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(after.recorders["ops"].notifications) == 1


async def test_a_recovery_that_nobody_got_before_the_end_is_told_by_the_next_run() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(200)
        site.recorders["ops"].hangs = True
        site.see(State.LOADED, 1)
        await asyncio.sleep(10)
        assert len(site.recorders["ops"].tries) == 2
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        after.see(State.LOADED, 1)
        await asyncio.sleep(1)
        assert [title.partition(": 1")[0] for title in after.recorders["ops"].titles] == ["comfywarm: recovered"]
    assert store.told == []


async def test_the_end_is_quick_though_a_channel_hangs() -> None:
    site = AlertHarness()
    site.recorders["ops"] = Recorder()
    site.recorders["ops"].hangs = True
    async with site.running(alert_settings(DOWN)):
        site.see(State.FAILED, 1)
        await asyncio.sleep(200)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began <= 2.5


async def test_a_journal_that_cannot_be_read_is_an_alert_and_is_read_later() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.see(State.FAILED, 1)
        await asyncio.sleep(200)
    store.is_away = True
    rules = (DOWN, {"name": "journal", "notices": ["journal_unavailable"]})
    async with AlertHarness(store).running(alert_settings(*rules)) as after:
        await asyncio.sleep(60)
        assert after.recorders["ops"].titles == [
            "comfywarm: the journal cannot be written: servers are watched, but nothing is submitted (for 15 s)"
        ]
        store.is_away = False
        after.notice(Notice.JOURNAL_AVAILABLE)
        await asyncio.sleep(SAVE_PAUSE_S + 1)
        after.see(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(after.recorders["ops"].notifications) == 2, "the recovery; the server was told before"
    assert [one.trouble.subject for one in store.told] == ["192.0.2.1:8188"]


async def test_a_reload_keeps_what_has_fired_and_brings_waiting_messages_to_the_new_address() -> None:
    site = AlertHarness()
    site.recorders["wrong"] = Recorder(*[server_error() for _ in range(99)])
    async with site.running(alert_settings(DOWN, channels=["ops=wrong"])):
        site.see(State.FAILED, 1)
        await asyncio.sleep(300)
        assert site.recorders["wrong"].notifications == []
        site.alerter.apply(alert_settings(DOWN))
        await asyncio.sleep(1)
        assert len(site.recorders["ops"].notifications) == 1
        site.alerter.apply(alert_settings(DOWN, {"name": "cold", "states": ["cold"]}, gather_s=1))
        await asyncio.sleep(600)
        assert len(site.recorders["ops"].notifications) == 1
        site.see(State.LOADED, 1)
        await asyncio.sleep(1)
        assert len(site.recorders["ops"].notifications) == 2


async def test_a_server_that_leaves_the_settings_is_forgotten_silently() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as site:
        site.see(State.FAILED, 1, 2)
        await asyncio.sleep(200)
        site.alerter.apply(alert_settings(DOWN, hosts="[2-20]"))
        site.see(State.LOADED, 2)
        await asyncio.sleep(10)
        assert site.recorders["ops"].titles[1:] == [
            "comfywarm: recovered: 1 server loaded again after 3 min: 192.0.2.2:8188"
        ]


async def test_rules_that_come_by_a_reload_look_at_what_stands() -> None:
    async with AlertHarness().running(alert_settings(channels=())) as site:
        site.see(State.FAILED, 1)
        await asyncio.sleep(10)
        site.alerter.apply(alert_settings({"states": ["failed"]}))
        await asyncio.sleep(20)
        assert len(site.recorders["ops"].notifications) == 1


async def test_a_fleet_that_goes_away_for_longer_is_one_message() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as site:
        for _ in range(5):
            site.see(State.UNREACHABLE, *range(1, 21))
            await asyncio.sleep(40)
        assert site.recorders["ops"].titles == [
            "comfywarm: most of the fleet, 20 of 20 servers unreachable for 2 min: 20 hosts: unreachable!"
        ]


async def test_a_server_that_left_the_settings_while_no_daemon_ran_is_forgotten_silently() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.see(State.FAILED, 1, 2)
        await asyncio.sleep(200)
    async with AlertHarness(store).running(alert_settings(DOWN, hosts="[2-20]")) as after:
        after.see(State.LOADED, 2)
        await asyncio.sleep(10)
        assert after.recorders["ops"].titles == [
            "comfywarm: recovered: 1 server loaded again after 3 min: 192.0.2.2:8188"
        ]
    assert store.told == []
