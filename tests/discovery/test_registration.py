"""Servers that register themselves vanish when their heartbeats stop."""

import asyncio

import pytest

from statemachine.discovery.registration import MISSED, Registrations
from statemachine.discovery.target import Listing
from tests.discovery.samples import target, targets

pytestmark = pytest.mark.looptime
BEAT_S = 10.0


async def test_registered_server_vanishes_after_missed_heartbeats() -> None:
    source, reports = Registrations(BEAT_S), list[Listing]()
    running = asyncio.create_task(source.run(reports.append))
    await asyncio.sleep(1)
    assert source.register(target("gpu1:8188"))
    assert source.register(target("gpu2:8188"))
    for _ in range(6):
        await asyncio.sleep(BEAT_S)
        source.register(target("gpu2:8188"))
    running.cancel()
    addresses = [[one.address.host for one in report.targets] for report in reports]
    assert addresses == [[], ["gpu1", "gpu2"], ["gpu2"]], "heartbeats that change nothing are not reported"


async def test_restored_servers_have_time_for_their_heartbeat() -> None:
    source, reports = Registrations(BEAT_S), list[Listing]()
    source.restore(targets("gpu1:8188", "gpu2:8188"))
    running = asyncio.create_task(source.run(reports.append))
    await asyncio.sleep(BEAT_S)
    source.register(target("gpu2:8188"))
    await asyncio.sleep((MISSED - 1) * BEAT_S + 1)
    running.cancel()
    assert [len(report.targets) for report in reports] == [2, 1]


async def test_changed_labels_are_reported() -> None:
    source, reports = Registrations(BEAT_S), list[Listing]()
    running = asyncio.create_task(source.run(reports.append))
    source.register(target("gpu1:8188", group="a"))
    await asyncio.sleep(1)
    source.register(target("gpu1:8188", group="b"))
    await asyncio.sleep(1)
    running.cancel()
    assert reports[-1].targets[0].labels == {"group": "b"}
