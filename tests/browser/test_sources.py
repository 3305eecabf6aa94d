"""The sources of servers: how they do, and where a server comes from."""

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

REFUSAL = {
    "message": "gpu1:8188 would have the name lab-1, which another server has",
    "message_code": "target_name_taken",
    "message_params": {"target": "gpu1:8188", "name": "lab-1"},
}
WELL: dict[str, Any] = {
    "name": "rack",
    "kind": "file",
    "servers": 12,
    "missing": 1,
    "answered_at": "2026-01-01T00:00:00.000Z",
    "failures": 0,
    "error": None,
    "error_code": None,
    "error_params": {},
    "held": None,
    "held_code": None,
    "held_params": {},
    "refused": [],
    "refusals": [],
    "refused_total": 0,
}
FAILING = {
    **WELL,
    "name": "dns",
    "kind": "dns",
    "servers": 3,
    "missing": 2,
    "failures": 4,
    "error": "HTTP status 503; 200 is expected",
    "error_code": "source_status",
    "error_params": {"status": 503},
    "held": "2 of 3 servers are missing; at most 1 are removed within 300 s",
    "held_code": "targets_held",
    "held_params": {"vanished": 2, "known": 3, "count": 1, "seconds": 300.0},
    "refusals": [REFUSAL],
    "refused_total": 9,
}


async def test_sources_are_shown_with_their_trouble_in_both_languages(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.page.route("**/api/discovery", lambda route: route.fulfill(json={"sources": [WELL, FAILING]}))
        await visit.open()
        section = visit.page.get_by_role("region", name="Sources of servers")
        await expect(section).to_contain_text("1 of 2 with trouble")
        await expect(section.get_by_role("listitem").first).to_contain_text("dns · servers: 3 · missing: 2")
        await expect(section).to_contain_text("HTTP status 503; 200 is expected")
        await expect(section).to_contain_text("gpu1:8188 would have the name lab-1")
        await expect(section).to_contain_text("and 8 more")
        await visit.page.get_by_role("button", name="中文").click()
        section = visit.page.get_by_role("region", name="服务器来源")
        await expect(section).to_contain_text("2 个中有 1 个异常")
        await expect(section).to_contain_text("HTTP 状态 503，应为 200")
        await expect(section).to_contain_text("3 台中有 2 台缺失；300 秒内最多移除 1 台")
        await expect(section).to_contain_text("gpu1:8188 的名称 lab-1 已被其他服务器使用")


async def test_sources_are_hidden_where_there_are_none(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await expect(visit.page.locator("#sources")).to_be_hidden()


async def test_drawer_shows_the_source_and_the_labels(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        origin = {"server": "lab-1", "source": "rack", "labels": {"zone": "a", "pool": "large"}}
        await visit.page.route("**/api/servers/lab-1/origin", lambda route: route.fulfill(json=origin))
        await visit.open("/status#server=lab-1")
        drawer = visit.drawer("lab-1")
        await expect(drawer).to_contain_text("Source")
        await expect(drawer).to_contain_text("rack")
        await expect(drawer).to_contain_text("zone: a")
        await expect(drawer).to_contain_text("pool: large")
