"""Trouble is seen first: in the order of the rows, in the tab's title and icon; and the address keeps what is shown."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from tests.browser.fleets import LOADED, Deployment, Specs, settings_over, simulated
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WIDTHS = (390, 1280, 1440, 1920)
LONG = "gpu-{}.inference.eu-central-1.cluster.example.internal:8188"
VERY_LONG = LONG.replace("cluster", "cluster-of-the-research-group")
NAMES = [
    *(f"192.168.100.{number}:8188" for number in (144, 145)),
    *(f"[2001:db8:85a3::8a2e:370:{number}]:8188" for number in (7334, 7335)),
    *(pattern.format(number) for pattern in (LONG, VERY_LONG) for number in (11, 12)),
]

GROUPS = ["public", *(f"{length}-{number}" for length in ("production-eu-central", "x" * 60) for number in (11, 12))]

CUT = """(selector) => [...document.querySelectorAll(selector)].filter((one) => {
  const box = one.getBoundingClientRect();
  const text = document.createRange();
  text.selectNodeContents(one);
  const { right, bottom } = text.getBoundingClientRect();
  const frame = one.closest('p, th').getBoundingClientRect();
  return right > Math.min(box.right, frame.right) + 1 || bottom > Math.min(box.bottom, frame.bottom) + 1;
}).map((one) => one.textContent)"""
"""Returns the texts of elements whose text does not fit into them or into the paragraph or the cell around them."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def named(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """Run servers with names like addresses, in groups of which some have long names."""
    specs: Specs = {name: (GROUPS[number % len(GROUPS)], LOADED) for number, name in enumerate(NAMES)}
    async with simulated(specs) as (fleet, servers):
        data = settings_over(fleet, specs, listen={"port": 0})
        async with running_daemon(parse_settings(data, tmp_path_factory.mktemp("named"), {})) as daemon:
            yield Deployment(daemon.address, servers)


async def test_page_opens_with_the_worst_group_and_server_first(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        groups = visit.table().get_by_role("rowheader").get_by_role("button")
        await expect(groups).to_have_text(["field", "lab", "public"])
        await expect(visit.servers().nth(0)).to_have_text("field-broken")
        await expect(visit.servers().nth(1)).to_have_text("field-absent")
        header = visit.page.get_by_role("columnheader", name="State", exact=True)
        await expect(header).to_have_attribute("aria-sort", "descending")


async def test_title_and_icon_count_trouble(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        icon = visit.page.locator("link[rel=icon]")
        await expect(visit.page).to_have_title(re.compile(r"^\(2\) comfywarm"))
        await expect(icon).to_have_attribute("href", re.compile("^data:image/png"))
        for name in ("field-broken", "field-absent"):
            await deployment.post(f"/api/servers/{name}/pause")
        await expect(visit.page).to_have_title(re.compile("^comfywarm"))
        await expect(icon).to_have_attribute("href", re.compile("favicon.svg$"))


async def test_address_keeps_filters_sorting_and_grouping(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open("/status?lang=en")
        await visit.page.locator("#search").fill("lab")
        await visit.button(re.compile("^Loaded")).click()
        await visit.page.get_by_role("combobox", name="Group", exact=True).select_option("lab")
        await visit.button("Server").click()
        await visit.button("Server").click()
        await visit.button("Grouped").click()
        await visit.link("lab-1").click()
        await expect(visit.page).to_have_url(
            re.compile(r"\?lang=en&q=lab&state=loaded&group=lab&sort=-name&grouped=no#server=lab-1$")
        )
        await visit.page.reload()
        await expect(visit.servers()).to_have_text(["lab-2", "lab-1"])
        await expect(visit.page.locator("#search")).to_have_value("lab")
        await expect(visit.button(re.compile("^Loaded"))).to_have_attribute("aria-pressed", "true")
        await expect(visit.page.locator("#group-filter")).to_have_value("lab")
        await expect(visit.page.locator("#warmth-scope")).to_have_value("lab")
        await expect(visit.button("Grouped")).to_have_attribute("aria-pressed", "false")
        await expect(visit.drawer("lab-1")).to_be_visible()
        await visit.button("Close").click()
        await visit.button("Clear filters").click()
        await expect(visit.page).to_have_url(re.compile(r"\?lang=en&sort=-name&grouped=no$"))


async def test_address_kept_over_back_and_foreign_values(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open("/status?state=nonsense,failed&group=nowhere&sort=constructor&grouped=maybe")
        await expect(visit.servers()).to_have_text(["field-broken"])
        await visit.link("field-broken").click()
        await visit.page.locator("#search").fill("field")
        await expect(visit.page).to_have_url(re.compile(r"\?q=field&state=failed#server=field-broken$"))
        await visit.page.go_back()
        await expect(visit.page).to_have_url(re.compile(r"\?q=field&state=failed$"))


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_names_are_never_cut(browser: Browser, named: Deployment, locale: str) -> None:
    async with visiting(browser, named.address, locale=locale) as visit:
        await visit.open()
        for width in WIDTHS:
            await visit.page.set_viewport_size({"width": width, "height": 1800})
            await expect(visit.servers()).to_have_count(len(NAMES))
            for names in (".server .open", ".group-name"):
                assert await visit.page.evaluate(CUT, names) == [], width
            if await visit.page.locator("button[data-view-choice=log]").is_visible():
                await visit.page.locator("button[data-view-choice=log]").click()
            await expect(visit.page.locator(".entry-server").first).to_be_visible()
            assert await visit.page.evaluate(CUT, ".entry-server") == [], width
            if await visit.page.locator("button[data-view-choice=fleet]").is_visible():
                await visit.page.locator("button[data-view-choice=fleet]").click()
