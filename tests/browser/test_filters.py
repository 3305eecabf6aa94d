"""Filters, search and sorting of the table."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import TWELVE, Deployment
from tests.browser.visit import Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SEARCHES = {
    "lab-stalled": {"lab-stalled"},
    "PUBLIC 3": {"public-3"},
    "nodes missing": {"field-broken"},
    "unreachable": {"field-absent"},
    "no such server": set[str](),
}
"""Search text → servers shown."""
PUBLIC = {name for name, (group, _) in TWELVE.items() if group == "public"}


async def _expect_shown(visit: Visit, names: set[str]) -> None:
    """Expect exactly these servers in the table."""
    for name in TWELVE:
        await expect(visit.link(name)).to_have_count(1 if name in names else 0)


async def test_state_tiles_combine_and_clear(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        failed, cold = visit.button("Failed 1"), visit.button("Cold 1")
        await failed.click()
        await expect(failed).to_have_attribute("aria-pressed", "true")
        await _expect_shown(visit, {"field-broken"})
        await cold.click()
        await _expect_shown(visit, {"field-broken", "lab-busy"})
        await expect(visit.page.get_by_role("status").filter(has_text="2 of 12 shown")).to_be_visible()
        await failed.click()
        await _expect_shown(visit, {"lab-busy"})
        await visit.button("Clear filters").click()
        await _expect_shown(visit, set(TWELVE))
        await expect(visit.button("Clear filters")).to_be_hidden()


async def test_search_matches_any_text_of_a_row(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        search = visit.page.get_by_role("searchbox", name="Search servers")
        for text, expected in SEARCHES.items():
            await search.fill(text)
            await _expect_shown(visit, expected)
        await expect(visit.page.get_by_text("No server matches")).to_be_visible()
        await search.press("Escape")
        await expect(search).to_have_value("")
        await _expect_shown(visit, set(TWELVE))


async def test_group_filter_shows_only_its_servers(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.page.get_by_role("combobox", name="Group", exact=True).select_option("public")
        await _expect_shown(visit, PUBLIC)


async def test_filter_follows_changes_of_state(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.button(re.compile("^Paused")).click()
        await _expect_shown(visit, set())
        await deployment.post("/api/servers/lab-1/pause")
        await _expect_shown(visit, {"lab-1"})
        await deployment.post("/api/servers/lab-1/resume")
        await _expect_shown(visit, set())


async def test_server_column_clicked_twice_reverses_the_order(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.button("Grouped").click()
        header = visit.page.get_by_role("columnheader", name="Server", exact=True)
        await visit.button("Server").click()
        first = await header.get_attribute("aria-sort")
        await _expect_order(visit, sorted(TWELVE, reverse=first == "descending"))
        await visit.button("Server").click()
        await expect(header).not_to_have_attribute("aria-sort", str(first))
        await _expect_order(visit, sorted(TWELVE, reverse=first != "descending"))


async def test_state_column_sorts_the_worst_first(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.button("Grouped").click()
        await visit.button("Server").click()
        await visit.button("State").click()
        servers = {server["name"]: server["state"] for server in (await shared.get("/api/status"))["servers"]}
        await expect(visit.page.get_by_role("row").nth(1)).not_to_contain_text("Loaded")
        states = [servers[name] for name in await visit.servers().all_inner_texts()]
        assert {states[0], states[1]} == {"failed", "unreachable"}
        assert states[-1] == "loaded"


async def _expect_order(visit: Visit, names: list[str]) -> None:
    """Expect the rows in this order."""
    await expect(visit.servers()).to_have_text(names)
