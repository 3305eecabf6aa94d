"""The section on alerts: what fires, what silences it, and the link to the server."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AT = "2026-01-01T00:00:00.000Z"
ALERT: dict[str, Any] = {
    "rule": "down",
    "server": "lab-1",
    "group": "lab",
    "state": "unreachable",
    "reason": "not_answering",
    "since": AT,
    "announced": True,
    "silenced_by": None,
    "silenced_until": None,
    "message": "connection refused",
    "message_code": "connection_refused",
    "message_params": {},
}
WINDOW = {
    "name": "updates",
    "days": [],
    "at": "02:00",
    "duration": "2h",
    "zone": "UTC",
    "groups": ["public"],
    "open_until": "2099-01-01T04:00:00.000Z",
    "next_start": "2099-01-02T02:00:00.000Z",
}
HELD = {**ALERT, "server": "public-1", "announced": False, "silenced_by": "updates", "silenced_until": AT}
NOTICE = {**ALERT, "server": None, "group": None, "state": None, "reason": "fleet_vanished"}


async def test_alerts_are_shown_with_what_silences_them(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        found = {"total": 30, "alerts": [ALERT, HELD, NOTICE], "windows": [WINDOW]}
        await visit.page.route("**/api/alerts", lambda route: route.fulfill(json=found))
        await visit.open()
        section = visit.page.get_by_role("region", name="Alerts")
        await expect(section).to_contain_text("30 active")
        await expect(section).to_contain_text("Maintenance window updates until")
        await expect(section).to_contain_text("silenced by updates until")
        await expect(section).to_contain_text("and 27 more")
        await section.get_by_role("link", name="lab-1").click()
        await expect(visit.drawer("lab-1")).to_be_visible()


async def test_alerts_are_hidden_while_there_is_none(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await expect(visit.page.locator("#alerts")).to_be_hidden()
