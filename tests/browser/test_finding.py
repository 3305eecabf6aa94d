"""Filter, search, sort: what is asked for is what is left."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import TWELVE, World
from tests.browser.visit import Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SEARCHES = {
    "lab-stalled": {"lab-stalled"},
    "PUBLIC 3": {"public-3"},
    "nodes missing": {"field-broken"},
    "unreachable": {"field-absent"},
    "no such server": set[str](),
}
"""Words → who is left."""
PUBLIC = {name for name, (group, _) in TWELVE.items() if group == "public"}


async def _left(visit: Visit, names: set[str]) -> None:
    """Only these servers are shown."""
    for name in TWELVE:
        await expect(visit.link(name)).to_have_count(1 if name in names else 0)


async def test_states_filter_together(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        failed, cold = visit.button("Failed 1"), visit.button("Cold 1")
        await failed.click()
        await expect(failed).to_have_attribute("aria-pressed", "true")
        await _left(visit, {"field-broken"})
        await cold.click()
        await _left(visit, {"field-broken", "lab-busy"})
        await expect(visit.page.get_by_role("status").filter(has_text="2 of 12 shown")).to_be_visible()
        await failed.click()
        await _left(visit, {"lab-busy"})
        await visit.button("Clear filters").click()
        await _left(visit, set(TWELVE))
        await expect(visit.button("Clear filters")).to_be_hidden()


async def test_search_looks_at_all_that_a_row_says(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        search = visit.page.get_by_role("searchbox", name="Search servers")
        for words, found in SEARCHES.items():
            await search.fill(words)
            await _left(visit, found)
        await expect(visit.page.get_by_text("No server matches")).to_be_visible()
        await search.press("Escape")
        await expect(search).to_have_value("")
        await _left(visit, set(TWELVE))


async def test_one_group(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.page.get_by_role("combobox", name="Group", exact=True).select_option("public")
        await _left(visit, PUBLIC)


async def test_a_server_that_begins_to_match_appears(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        await visit.button(re.compile("^Paused")).click()
        await _left(visit, set())
        await world.post("/api/servers/lab-1/pause")
        await _left(visit, {"lab-1"})
        await world.post("/api/servers/lab-1/resume")
        await _left(visit, set())


async def test_sorting(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.button("Grouped").click()
        header = visit.page.get_by_role("columnheader", name="Server", exact=True)
        await visit.button("Server").click()
        first = await header.get_attribute("aria-sort")
        await _in_order(visit, sorted(TWELVE, reverse=first == "descending"))
        await visit.button("Server").click()
        await expect(header).not_to_have_attribute("aria-sort", str(first))
        await _in_order(visit, sorted(TWELVE, reverse=first != "descending"))


async def test_the_worst_first(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.button("Grouped").click()
        await visit.button("State").click()
        servers = {one["name"]: one["state"] for one in (await quiet.get("/api/status"))["servers"]}
        await expect(visit.page.get_by_role("row").nth(1)).not_to_contain_text("Loaded")
        states = [servers[name] for name in await visit.servers().all_inner_texts()]
        assert {states[0], states[1]} == {"failed", "unreachable"}
        assert states[-1] == "loaded"


async def _in_order(visit: Visit, names: list[str]) -> None:
    """The rows are these, from the top."""
    await expect(visit.servers()).to_have_text(names)
