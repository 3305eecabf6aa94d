"""The drawer: a server's timeline, transitions, attempts, devices and the raw response of its check."""

import asyncio
import re

import pytest
from playwright.async_api import Browser, Route, expect

from tests.browser.fleets import Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_drawer_shows_what_the_api_returns(browser: Browser, shared: Deployment) -> None:
    detail = await shared.get("/api/servers/lab-stalled")
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.link("lab-stalled").click()
        drawer = visit.drawer("lab-stalled")
        parts = {
            name: drawer.get_by_role("region", name=name) for name in ("Timeline", "Transitions", "Attempts", "Server")
        }
        for part in parts.values():
            await expect(part).to_be_visible()
        transition_items = parts["Transitions"].get_by_role("listitem")
        await expect(transition_items.first).to_contain_text(detail["transitions"][0]["message"])
        await expect(transition_items).to_have_count(len(detail["transitions"]))
        await expect(parts["Attempts"].get_by_role("listitem")).to_have_count(1)
        await expect(parts["Attempts"]).to_contain_text(detail["attempts"][0]["prompt_id"][:8])
        await expect(parts["Server"]).to_contain_text(detail["server"]["version"])
        await expect(parts["Server"]).to_contain_text(detail["server"]["devices"][0]["name"])
        await expect(parts["Timeline"].get_by_role("img")).to_be_visible()


async def test_drawer_shows_the_raw_check_response_as_text(browser: Browser, shared: Deployment) -> None:
    raw = (await shared.get("/api/servers/field-odd"))["check"]["raw"]
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.link("field-odd").click()
        part = visit.drawer("field-odd").get_by_role("region", name="Newest check")
        await expect(part).to_contain_text(re.sub(r"\s+", " ", raw).strip()[:60])
        assert await visit.page.locator("pre iframe, pre script, pre h1").count() == 0, (
            "the response is shown as text, not as markup"
        )


async def test_drawer_updates_while_the_server_warms(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.link("public-2").click()
        drawer = visit.drawer("public-2")
        await expect(drawer.get_by_role("region", name="Attempts").get_by_role("listitem")).to_have_count(0)
        deployment.servers["public-2"].stall()
        await deployment.evict("public-2")
        await expect(drawer.locator("#drawer-state")).to_contain_text("Warming")
        deployment.servers["public-2"].resume()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Loaded")
        await expect(drawer.get_by_role("region", name="Attempts").get_by_role("listitem")).to_have_count(1)
        newest = drawer.get_by_role("region", name="Transitions").get_by_role("listitem").first
        await expect(newest).to_contain_text("Everything cached")


async def test_drawer_opens_and_closes_with_the_address(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open("/status#server=lab-busy")
        await expect(visit.drawer("lab-busy")).to_be_visible()
        await visit.button("Close").click()
        await expect(visit.drawer("lab-busy")).to_be_hidden()
        await visit.link("public-4").click()
        await expect(visit.page).to_have_url(re.compile("#server=public-4$"))
        await visit.page.go_back()
        await expect(visit.drawer("public-4")).to_be_hidden()


async def test_drawer_with_an_invalid_escape_in_the_address_shows_not_found(
    browser: Browser, shared: Deployment
) -> None:
    async with visiting(browser, shared.address, expected="404") as visit:
        await visit.open("/status#server=100%")
        await expect(visit.drawer("100%")).to_contain_text("There is no such server.")
        await expect(visit.page.locator("#connection")).to_contain_text("Live")


async def test_drawer_of_an_unknown_name_shows_nothing_of_the_last_server(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, expected="404") as visit:
        await visit.open("/status#server=field-broken")
        await expect(visit.drawer("field-broken")).to_contain_text("PulidFluxEvaClipLoader")
        await expect(visit.drawer("field-broken").get_by_role("region", name="Its warmth")).to_be_visible()
        await visit.page.route("**/api/servers/unknown", _slowly)
        await visit.page.evaluate("location.hash = '#server=unknown'")
        drawer = visit.drawer("unknown")
        for _ in range(2):  # before and after the answer
            text = await drawer.inner_text()
            assert not re.search("Pulid|Failed|field-broken|ComfyUI|lowest", text), text
            await expect(drawer.get_by_role("button", name=re.compile("unknown$"))).to_have_count(0)
            await visit.page.unroute_all(behavior="wait")
            await expect(drawer).to_contain_text("There is no such server.")
        await visit.page.evaluate("location.hash = '#server=lab-1'")
        await expect(visit.drawer("lab-1").get_by_role("button", name="Pause lab-1")).to_be_visible()
        await expect(visit.drawer("lab-1").get_by_role("region", name="Transitions")).to_be_visible()


async def _slowly(route: Route) -> None:
    await asyncio.sleep(0.5)
    await route.continue_()
