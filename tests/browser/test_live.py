"""The page shows the fleet and its changes without a reload."""

import math
import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Position, expect

from tests.browser.fleets import SETTLED, TWELVE, Deployment, twelve
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FIRST_CELL: Position = {"x": 10, "y": 32}
NAMES = {
    "loaded": "Loaded",
    "warming": "Warming",
    "cold": "Cold",
    "auto_executing": "Loading itself",
    "failed": "Failed",
    "unreachable": "Unreachable",
    "unknown": "Unknown",
}
"""State → its name on the page."""


async def test_table_shows_state_and_message_of_every_server(browser: Browser, shared: Deployment) -> None:
    status = await shared.get("/api/status")
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await expect(visit.page).to_have_title(re.compile("comfywarm"))
        await expect(visit.page.get_by_role("status").filter(has_text="Live")).to_be_visible()
        for server in status["servers"]:
            await expect(visit.row(server["name"])).to_contain_text(NAMES[server["state"]])
            await expect(visit.row(server["name"])).to_contain_text(server["message"])
        for state, count in SETTLED.items():
            await expect(visit.button(f"{NAMES[state]} {count}")).to_be_visible()


async def test_group_toggle_hides_and_shows_its_servers(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        for group in ("public", "lab", "field"):
            members = [name for name, (of, _) in TWELVE.items() if of == group]
            toggle = visit.button(group)
            await expect(toggle).to_have_attribute("aria-expanded", "true")
            await toggle.click()
            await expect(toggle).to_have_attribute("aria-expanded", "false")
            for name in members:
                await expect(visit.link(name)).to_have_count(0)
            await toggle.click()
            await expect(visit.link(members[0])).to_be_visible()


async def test_row_and_counts_follow_a_warm_up_without_reload(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.page.evaluate("window.sameDocument = true")
        row = visit.row("public-1")
        await expect(row).to_contain_text("Loaded")
        deployment.servers["public-1"].stall()
        await deployment.evict("public-1")
        await expect(row).to_contain_text("Warming")
        await expect(row.get_by_role("progressbar")).to_be_visible()
        await expect(visit.button(f"Loaded {SETTLED['loaded'] - 1}")).to_be_visible()
        await expect(visit.button(f"Warming {SETTLED['warming'] + 1}")).to_be_visible()
        deployment.servers["public-1"].resume()
        await expect(row).to_contain_text("Loaded")
        await expect(row.get_by_role("progressbar")).to_have_count(0)
        await expect(visit.button(f"Loaded {SETTLED['loaded']}")).to_be_visible()
        assert await visit.page.evaluate("window.sameDocument")


async def test_progress_bar_shows_the_progress_of_the_api(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        bar = visit.row("lab-stalled").get_by_role("progressbar")
        progress = (await shared.get("/api/servers/lab-stalled"))["progress"]
        assert 0 < progress < 1
        assert await bar.evaluate("bar => bar.value / bar.max") == pytest.approx(progress, abs=0.01)


async def test_map_cell_clicked_opens_the_drawer(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        fleet_map = visit.page.get_by_role("img", name=re.compile("^Map of the fleet: Loaded 6"))
        await expect(fleet_map).to_have_attribute("data-cells", str(len(TWELVE)))
        await fleet_map.click(position=FIRST_CELL)
        await expect(visit.drawer("public-1")).to_be_visible()


async def test_warmth_panel_shows_the_figures_of_the_api(browser: Browser, tmp_path: Path) -> None:
    async with twelve(tmp_path, with_history=True) as deployment, visiting(browser, deployment.address) as visit:
        await visit.open()
        stats = await deployment.get("/api/stats?servers=false")
        warmth = visit.region("Warmth")
        scope = warmth.get_by_role("combobox", name="Scope")
        for group, figures in (("", stats["fleet"]), ("lab", stats["groups"]["lab"])):
            await scope.select_option(group)
            await expect(warmth.get_by_role("img")).to_be_visible()
            shares = warmth.get_by_role("row").filter(has_text="Share of time warm")
            evictions = warmth.get_by_role("row").filter(has_text="Evictions")
            for window in ("24h", "7d"):
                await expect(shares).to_contain_text(f"{math.floor(1000 * figures[window]['warm_share']) / 10:g}%")
                await expect(evictions).to_contain_text(f"{figures[window]['evictions']:,}")
        await expect(warmth.get_by_text("Out of memory")).to_be_visible()
        await expect(visit.table().get_by_role("img")).to_have_count(3)
