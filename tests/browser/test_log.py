"""The live event log: order, filters and pause."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment, twelve
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_log_shows_a_warm_up_newest_first(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await deployment.evict("public-1")
        await deployment.wait_for_state("public-1", "warming")
        await deployment.wait_for_state("public-1", "loaded")
        own = visit.log().filter(has_text="public-1")
        reasons = ["Everything cached", "Prompt succeeded", "Prompt accepted", "Permit granted", "Keys missing"]
        for index, reason in enumerate(reasons):
            await expect(own.nth(index)).to_contain_text(reason)


async def test_log_filters_by_state_reason_and_name(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        region = visit.region("Event log")
        await region.get_by_role("combobox", name="State reached").select_option("unreachable")
        await expect(visit.log()).to_have_count(1)
        await expect(visit.log()).to_contain_text("field-absent")
        await region.get_by_role("combobox", name="State reached").select_option("")
        await region.get_by_role("combobox", name="Reason").select_option("all_cached")
        await expect(visit.log()).to_have_count(6)
        await region.get_by_role("combobox", name="Reason").select_option("")
        await region.get_by_role("searchbox", name="Server or group").fill("lab-1")
        await expect(visit.log().first).to_contain_text("lab-1")
        await expect(visit.log().filter(has_not_text="lab-1")).to_have_count(0)
        await deployment.post("/api/servers/lab-2/pause")
        await deployment.post("/api/servers/lab-1/pause")
        await expect(visit.log().first).to_contain_text("Pause requested")
        await expect(visit.log().filter(has_text="lab-2")).to_have_count(0)


async def test_log_paused_keeps_new_entries_until_resumed(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        region = visit.region("Event log")
        await visit.button("Pause log").click()
        before = await visit.log().first.get_attribute("data-id")
        for name in ("public-1", "public-2", "public-3"):
            await deployment.post(f"/api/servers/{name}/pause")
        await expect(visit.row("public-3")).to_contain_text("Paused")
        await expect(region.get_by_text(re.compile(r"^\d+ waiting"))).to_be_visible()
        await expect(visit.log().first).to_have_attribute("data-id", str(before))
        await region.get_by_role("button", pressed=True).click()
        for index, name in enumerate(("public-3", "public-2", "public-1")):
            await expect(visit.log().filter(has_text="Pause requested").nth(index)).to_contain_text(name)
        await expect(region.get_by_text("waiting")).to_be_hidden()


async def test_log_filter_finds_entries_that_are_not_on_the_page(browser: Browser, tmp_path: Path) -> None:
    async with twelve(tmp_path, with_history=True) as deployment, visiting(browser, deployment.address) as visit:
        log = (await deployment.get("/api/log?reason=out_of_memory&limit=1000"))["entries"]
        head = (await deployment.get("/api/log?limit=1"))["entries"][0]["id"]
        old = next(one for one in log if one["id"] < head - 500)
        await visit.open()
        region = visit.region("Event log")
        await region.get_by_role("combobox", name="Reason").select_option("out_of_memory")
        await region.get_by_role("searchbox", name="Server or group").fill(old["server"].upper())
        await expect(visit.log().first).to_contain_text(old["server"])
        found = [one["id"] for one in log if one["server"] == old["server"]]
        await expect(visit.log().first).to_have_attribute("data-id", str(found[0]))
        await region.get_by_role("searchbox", name="Server or group").fill("no such name")
        await expect(region.get_by_text("Nothing to show.")).to_be_visible()
