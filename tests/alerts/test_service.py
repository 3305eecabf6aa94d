"""The alert service in virtual time, between a bus and recorders."""

import asyncio

import pytest

from statemachine.alerts.service import SAVE_PAUSE_S
from statemachine.core.messages import message
from statemachine.core.vocabulary import Notice, State
from tests.alerts.harness import AlertHarness, MemoryStore, Recorder, alert_settings, server_error

pytestmark = pytest.mark.looptime

DOWN = {"states": ["failed", "unreachable"], "for_s": 120}


async def test_service_without_rules_sends_nothing() -> None:
    async with AlertHarness().running(alert_settings(channels=())) as harness:
        harness.set_state(State.FAILED, 1, 2, 3)
        await asyncio.sleep(3600)
        assert harness.recorders == {}


async def test_service_sends_alert_after_for_s_and_recovery() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as harness:
        await asyncio.sleep(7)
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(120 + 15 + 1)
        ((at, notification),) = harness.recorders["ops"].notifications
        assert 7 + 135 <= at <= 7 + 136
        assert notification.title == "comfywarm: 1 server failed for 2 min: 192.0.2.1:8188: failed!"
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(1)
        assert harness.recorders["ops"].titles[1:] == [
            "comfywarm: recovered: 1 server loaded again after 2 min: 192.0.2.1:8188"
        ]
        assert harness.counts("ops") == {"sent": 2.0}


async def test_service_with_recovery_off_sends_firing_only() -> None:
    async with AlertHarness().running(alert_settings(DOWN, recovery=False)) as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(200)
        assert len(harness.recorders["ops"].notifications) == 1
        assert harness.store.sent == []
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(harness.recorders["ops"].notifications) == 2


async def test_service_sends_notices() -> None:
    async with AlertHarness().running(alert_settings({"notices": ["fleet_vanished", "settings_refused"]})) as harness:
        harness.set_state(State.LOADED, *range(1, 11))
        harness.notice(Notice.FLEET_VANISHED)
        await asyncio.sleep(60)
        harness.notice(Notice.FLEET_BACK)
        harness.notice(Notice.SETTINGS_RELOADED)
        await asyncio.sleep(200)
        firing, recovered = harness.recorders["ops"].titles
        assert firing.startswith("comfywarm: most servers stopped answering at once")
        assert recovered.startswith("comfywarm: over after 3 min: most servers stopped answering at once")


async def test_service_ends_failed_discovery_with_the_last_source() -> None:
    partial = message("source_answers_others_fail", source="a", others=["b"])
    async with AlertHarness().running(alert_settings({"notices": ["discovery_failed"]})) as harness:
        harness.notice(Notice.DISCOVERY_FAILED)
        await asyncio.sleep(60)
        harness.notice(Notice.DISCOVERY_RECOVERED, partial)
        await asyncio.sleep(200)
        assert len(harness.recorders["ops"].titles) == 1
        harness.notice(Notice.DISCOVERY_RECOVERED, message("source_answers", source="b"))
        await asyncio.sleep(200)
        assert len(harness.recorders["ops"].titles) == 2


async def test_service_with_hanging_channel_serves_others() -> None:
    harness = AlertHarness()
    harness.recorders["stuck"] = Recorder()
    harness.recorders["stuck"].hangs = True
    settings = alert_settings({"to": ["stuck", "ops"], "states": ["failed"]}, channels=("stuck", "ops"), gather_s=0)
    async with harness.running(settings):
        for host in range(1, 6):
            harness.set_state(State.FAILED, host)
            await asyncio.sleep(10)
        assert len(harness.recorders["ops"].notifications) == 5
        assert len(harness.recorders["stuck"].attempts) == 1
        assert harness.store.sent == [], "what one channel has not got is not remembered as sent"
    assert harness.counts("stuck") == {"dropped": 5.0}


async def test_service_after_restart_sends_only_recovery() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.set_state(State.FAILED, 1, 2)
        await asyncio.sleep(200)
        assert len(before.recorders["ops"].notifications) == 1
    assert [one.alert.subject for one in store.sent] == ["192.0.2.1:8188", "192.0.2.2:8188"]
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        for state in (State.UNKNOWN, State.CHECKING, State.FAILED):
            after.set_state(state, 1, 2)
            await asyncio.sleep(200)
        assert after.recorders["ops"].titles == []
        after.set_state(State.LOADED, 1, 2)
        await asyncio.sleep(1)
        assert after.recorders["ops"].titles == [
            "comfywarm: recovered: 2 servers loaded again after 13 min: 192.0.2.1:8188, 192.0.2.2:8188"
        ]
    assert store.sent == []


async def test_service_after_restart_sends_undelivered_alert() -> None:
    store = MemoryStore()
    harness = AlertHarness(store)
    harness.recorders["ops"] = Recorder(*[server_error() for _ in range(99)])
    async with harness.running(alert_settings(DOWN)):
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
    assert store.sent == []
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        after.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(after.recorders["ops"].notifications) == 1


async def test_service_after_restart_sends_undelivered_recovery() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        harness.recorders["ops"].hangs = True
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(10)
        assert len(harness.recorders["ops"].attempts) == 2
    async with AlertHarness(store).running(alert_settings(DOWN)) as after:
        after.set_state(State.LOADED, 1)
        await asyncio.sleep(1)
        assert [title.partition(": 1")[0] for title in after.recorders["ops"].titles] == ["comfywarm: recovered"]
    assert store.sent == []


async def test_service_with_hanging_channel_closes_quickly() -> None:
    harness = AlertHarness()
    harness.recorders["ops"] = Recorder()
    harness.recorders["ops"].hangs = True
    async with harness.running(alert_settings(DOWN)):
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began <= 2.5


async def test_service_with_unreadable_store_alerts_and_restores_later() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
    store.is_unavailable = True
    rules = (DOWN, {"name": "journal", "notices": ["journal_unavailable"]})
    async with AlertHarness(store).running(alert_settings(*rules)) as after:
        await asyncio.sleep(60)
        assert after.recorders["ops"].titles == [
            "comfywarm: the journal cannot be written: servers are watched, but nothing is submitted (for 15 s)"
        ]
        store.is_unavailable = False
        after.notice(Notice.JOURNAL_AVAILABLE)
        await asyncio.sleep(SAVE_PAUSE_S + 1)
        after.set_state(State.FAILED, 1)
        await asyncio.sleep(200)
        assert len(after.recorders["ops"].notifications) == 2, "the recovery; the server was sent before"
    assert [one.alert.subject for one in store.sent] == ["192.0.2.1:8188"]


async def test_service_reload_keeps_alerts_and_moves_queue() -> None:
    harness = AlertHarness()
    harness.recorders["wrong"] = Recorder(*[server_error() for _ in range(99)])
    async with harness.running(alert_settings(DOWN, channels=["ops=wrong"])):
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(300)
        assert harness.recorders["wrong"].notifications == []
        harness.service.apply(alert_settings(DOWN))
        await asyncio.sleep(1)
        assert len(harness.recorders["ops"].notifications) == 1
        harness.service.apply(alert_settings(DOWN, {"name": "cold", "states": ["cold"]}, gather_s=1))
        await asyncio.sleep(600)
        assert len(harness.recorders["ops"].notifications) == 1
        harness.set_state(State.LOADED, 1)
        await asyncio.sleep(1)
        assert len(harness.recorders["ops"].notifications) == 2


async def test_service_reload_forgets_removed_server() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as harness:
        harness.set_state(State.FAILED, 1, 2)
        await asyncio.sleep(200)
        harness.service.apply(alert_settings(DOWN, hosts="[2-20]"))
        harness.set_state(State.LOADED, 2)
        await asyncio.sleep(10)
        assert harness.recorders["ops"].titles[1:] == [
            "comfywarm: recovered: 1 server loaded again after 3 min: 192.0.2.2:8188"
        ]


async def test_service_reload_applies_new_rule_to_present_state() -> None:
    async with AlertHarness().running(alert_settings(channels=())) as harness:
        harness.set_state(State.FAILED, 1)
        await asyncio.sleep(10)
        harness.service.apply(alert_settings({"states": ["failed"]}))
        await asyncio.sleep(20)
        assert len(harness.recorders["ops"].notifications) == 1


async def test_service_with_unreachable_fleet_sends_one_message() -> None:
    async with AlertHarness().running(alert_settings(DOWN)) as harness:
        for _ in range(5):
            harness.set_state(State.UNREACHABLE, *range(1, 21))
            await asyncio.sleep(40)
        assert harness.recorders["ops"].titles == [
            "comfywarm: most of the fleet, 20 of 20 servers unreachable for 2 min: 20 hosts: unreachable!"
        ]


async def test_service_after_restart_forgets_removed_server() -> None:
    store = MemoryStore()
    async with AlertHarness(store).running(alert_settings(DOWN)) as before:
        before.set_state(State.FAILED, 1, 2)
        await asyncio.sleep(200)
    async with AlertHarness(store).running(alert_settings(DOWN, hosts="[2-20]")) as after:
        after.set_state(State.LOADED, 2)
        await asyncio.sleep(10)
        assert after.recorders["ops"].titles == [
            "comfywarm: recovered: 1 server loaded again after 3 min: 192.0.2.2:8188"
        ]
    assert store.sent == []
