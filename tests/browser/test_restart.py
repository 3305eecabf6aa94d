"""The drawer's restart: it asks, the server drains, and it can be cancelled. The form that starts a rolling restart."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment
from tests.browser.test_axe import violations
from tests.browser.test_rollout import RUN, FakeRun
from tests.browser.visit import PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AT = "2026-01-01T00:00:00.000Z"
CHINESE_PHONE: dict[str, Any] = {
    "viewport": PHONE,
    "locale": "zh-CN",
    "color_scheme": "dark",
    "reduced_motion": "reduce",
}


async def test_restart_asks_then_drains_and_resume_cancels(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open("/status#server=lab-busy")
        drawer, asked = visit.drawer("lab-busy"), visit.page.get_by_role("dialog", name="Restart lab-busy?")
        await drawer.get_by_role("button", name="Restart lab-busy").click()
        await expect(asked).to_contain_text("drain")
        await expect(asked).to_contain_text("hook runs once")
        await asked.get_by_role("button", name="Cancel").click()
        assert (await deployment.get("/api/servers/lab-busy"))["restart"] is None
        await drawer.get_by_role("button", name="Restart lab-busy").press("Enter")
        await asked.get_by_role("button", name="Continue").press("Enter")
        await expect(drawer.locator("#drawer-state")).to_contain_text("Draining")
        await expect(drawer.locator("#drawer-now .waits-for")).to_contain_text(
            "finishes its prompts before the restart"
        )
        await expect(drawer.locator("#drawer-now .waits-for")).to_contain_text("at most until")
        await expect(drawer.locator("#drawer-restart")).to_contain_text("an operator")
        await drawer.get_by_role("button", name="Resume lab-busy").click()
        await expect(drawer.locator("#drawer-restart")).to_contain_text("cancelled")
        await expect(drawer.locator("#drawer-state")).to_contain_text("Cold")


async def test_undo_cancels_a_restart_that_drains(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open("/status#server=lab-busy")
        await visit.button("Restart lab-busy").click()
        await visit.page.get_by_role("dialog", name="Restart lab-busy?").get_by_role("button", name="Continue").click()
        await expect(visit.drawer("lab-busy").locator("#drawer-state")).to_contain_text("Draining")
        await visit.page.keyboard.press("u")
        await expect(visit.drawer("lab-busy").locator("#drawer-restart")).to_contain_text("cancelled")


async def test_restart_is_only_offered_where_there_is_a_hook(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open("/status#server=lab-1")
        await expect(visit.page.locator("#drawer-counters")).to_contain_text("Checks")
        await expect(visit.button("Restart lab-1")).to_be_hidden()
        await expect(visit.page.locator("#drawer-restart")).to_be_hidden()


async def test_refused_restart_shows_why(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, expected="status of 409") as visit:
        error = {"code": "restart_paused", "message": "lab-busy is paused; resume it first"}
        await visit.page.route("**/restart", lambda route: route.fulfill(status=409, json={"error": error}))
        await visit.open("/status#server=lab-busy")
        await visit.button("Restart lab-busy").click()
        await visit.page.get_by_role("dialog", name="Restart lab-busy?").get_by_role("button", name="Continue").click()
        await expect(visit.page.locator("#toasts")).to_contain_text("This server is paused; resume it first.")


async def test_drawer_on_a_chinese_phone_shows_a_failed_restart(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address, **CHINESE_PHONE) as visit:
        await deployment.post("/api/servers/lab-2/restart")
        await visit.open("/status#server=lab-2")
        for text in ("最近一次重启", "失败", "操作者", "钩子开始", "结束时间", "结果"):
            await expect(visit.page.locator("#drawer-restart")).to_contain_text(text)
        assert await visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await violations(visit.page) == []
        await visit.button("重启 lab-2").click()
        await expect(visit.page.get_by_role("dialog", name="重启 lab-2？")).to_contain_text("排空")
        assert await violations(visit.page) == []


async def test_form_starts_a_rolling_restart_of_a_group(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        fake = FakeRun(None, ["lab", "public"])
        await fake.install(visit.page)
        await visit.open()
        section, dialog = (
            visit.region("Rolling restart"),
            visit.page.get_by_role("dialog", name="Start a rolling restart"),
        )
        await section.get_by_role("button", name="Start…").press("Enter")
        await expect(dialog).to_have_accessible_description(re.compile("a few at a time"))
        assert await violations(visit.page) == []
        await dialog.get_by_role("button", name="Cancel").click()
        assert fake.started == []
        await section.get_by_role("button", name="Start…").click()
        await dialog.get_by_label("Group").select_option("public")
        await dialog.get_by_label("At most not warm at a time").fill("0")
        await dialog.get_by_role("button", name="Restart").click()
        await expect(dialog).to_be_visible()
        await dialog.get_by_label("At most not warm at a time").fill("2")
        await dialog.get_by_label("Abort after failures in a row").fill("3")
        await dialog.get_by_role("button", name="Restart").click()
        await expect(section).to_contain_text("group public: running")
        assert fake.started == [("public", {"max_unavailable": 2, "abort_after": 3})]
        await expect(section.get_by_role("button", name="Start…")).to_be_hidden()
        await expect(visit.page.locator("#rollout-list")).to_be_focused()


async def test_refused_rolling_restart_shows_why(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, expected="status of 409") as visit:
        await FakeRun({**RUN, "state": "done", "ended_at": AT}, ["public"]).install(visit.page)
        await visit.open()
        await visit.button("Start…").click()
        await visit.page.get_by_role("dialog").get_by_role("button", name="Restart").click()
        await expect(visit.page.locator("#toasts")).to_contain_text("wait for their end, or cancel it")
