"""The page shows where requests went and why, once POST /api/route or a gateway is used."""

import re
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.fleets import Deployment
from tests.browser.test_axe import violations
from tests.browser.visit import Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDTHS = (390, 768, 1280, 1440, 1920)
HOURS = 22
REASONS: tuple[tuple[str, bool | None, list[str]], ...] = (
    ("warm", False, []),
    ("warm_queued", False, []),
    ("displaces", True, ["sdxl_base_1.0.safetensors", "flux1-dev-fp8.safetensors"]),
    ("loads", True, ["sd3.5_large.safetensors"]),
    ("shortest_wait", None, []),
    ("passed_on", False, []),
)


def decision(hour: int, number: int) -> dict[str, Any]:
    reason, cold, missing = REASONS[(hour * number) % len(REASONS)]
    return {
        "age_s": hour * 3600.0 + number * 20,
        "server": f"public-{1 + number % 4}",
        "reason": reason,
        "cold": cold,
        "expected_wait_s": 20.5 * (cold is True) + number,
        "missing": missing,
        "others": [
            {"server": "lab-1", "prospect": "loads_busy", "expected_wait_s": 31.4},
            {"server": "lab-2", "prospect": "warm_busy", "expected_wait_s": 44.0},
        ],
    }


async def route_requests(deployment: Deployment) -> None:
    """Route one request, and report some of a gateway over the hours."""
    decisions = [decision(hour, number) for hour in range(HOURS) for number in range(9)]
    report = {"gateway": "0" * 32, "oldest": 0, "first": 0, "decisions": decisions}
    async with aiohttp.ClientSession() as session:
        for path, body in (("route", {"models": ["sdxl_base_1.0.safetensors"]}), ("decisions", report)):
            async with session.post(f"{deployment.address}/api/{path}", json=body) as response:
                assert response.status == 200, await response.text()


def section(visit: Visit) -> Locator:
    return visit.page.locator("#requests")


async def overflows(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


async def test_requests_are_hidden_where_none_is_routed(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        async with visit.page.expect_response("**/api/decisions*"):
            await visit.open()
        await expect(section(visit)).to_be_hidden()
        await visit.page.set_viewport_size({"width": 390, "height": 800})
        await expect(visit.page.locator("#requests-view")).to_be_hidden()


async def test_requests_show_counts_reasons_and_runners_up(browser: Browser, deployment: Deployment) -> None:
    await route_requests(deployment)
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await expect(section(visit)).to_contain_text("199 in the last 24 h")
        await expect(visit.page.locator("#requests-figures")).to_be_hidden()
        await visit.button("Where and why").click()
        await expect(section(visit).get_by_role("img")).to_have_accessible_name(re.compile("highest"))
        await expect(section(visit)).to_contain_text("loads models and pushes others out")
        await expect(section(visit).get_by_role("row").nth(1)).to_contain_text("public-")
        newest = section(visit).get_by_role("list", name="Newest decisions")
        await expect(newest).to_contain_text("not loaded: sdxl_base_1.0.safetensors")
        await expect(newest).to_contain_text("lab-1 31s · must load models, and work is queued")
        await visit.page.reload()
        await expect(newest).to_be_visible()
        await newest.get_by_role("link", name="public-1").first.click()
        part = visit.drawer("public-1").get_by_role("region", name="Requests sent here")
        await expect(part).to_contain_text("in the last 24 h")
        await expect(part.get_by_role("list", name="Newest decisions").locator("> li")).to_have_count(5)
        assert await violations(visit.page) == []
        await visit.page.evaluate("location.hash = '#server=lab-busy'")
        await expect(visit.drawer("lab-busy").get_by_role("region", name="Now")).to_be_visible()
        await expect(visit.drawer("lab-busy").get_by_role("region", name="Requests sent here")).to_be_hidden()


async def test_requests_follow_the_language(browser: Browser, deployment: Deployment) -> None:
    await route_requests(deployment)
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.button("Where and why").click()
        await visit.button("中文").click()
        await expect(section(visit)).to_contain_text("加载模型，并挤出其他模型")
        await expect(section(visit)).not_to_contain_text("Newest")


@pytest.mark.parametrize(("locale", "theme"), [("en-GB", "light"), ("zh-CN", "dark")])
async def test_requests_fit_every_width_and_axe_finds_nothing(
    browser: Browser, deployment: Deployment, locale: str, theme: Any
) -> None:
    await route_requests(deployment)
    async with visiting(browser, deployment.address, locale=locale, color_scheme=theme) as visit:
        await visit.open()
        await visit.page.locator("#requests-toggle").click()
        for width in WIDTHS:
            await visit.page.set_viewport_size({"width": width, "height": 900})
            if await visit.page.locator("#requests-view").is_visible():
                await visit.page.locator("#requests-view").click()
            await expect(visit.page.locator("#requests-figures")).to_be_visible()
            assert not await overflows(visit.page), width
            assert await violations(visit.page) == [], width


async def test_requests_say_in_words_that_there_were_none(browser: Browser, deployment: Deployment) -> None:
    report = {"gateway": "0" * 32, "oldest": 0, "first": 0, "decisions": []}
    async with aiohttp.ClientSession() as session:
        await session.post(f"{deployment.address}/api/decisions", json=report)
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.button("Where and why").click()
        await expect(section(visit)).to_contain_text("No request was routed in the last 24 hours.")
