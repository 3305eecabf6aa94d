"""12 to 10,000 servers named HOST:PORT, on a phone and on wide screens, in both languages and themes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Request, expect

from statemachine.journal.store import Write
from tests.browser.addresses import KINDS, TROUBLE, addressed, name_of, past_of
from tests.browser.test_trouble import CUT
from tests.browser.visit import Visit, visiting
from tests.web.site import running_site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

HEIGHTS = {390: 844, 1280: 800, 1440: 900, 1920: 1080}
LOOKS: tuple[tuple[str, Literal["light", "dark"]], ...] = (("en", "light"), ("zh", "dark"))
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
IN_VIEW = """() => [...document.querySelectorAll('tr.server')].filter((row) => {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}).map((row) => row.dataset.name)"""


@asynccontextmanager
async def visit_of(browser: Browser, folder: Path, count: int) -> AsyncIterator[Visit]:
    """Visit the page of this many servers, of which the first has a past."""
    async with running_site(folder, views=addressed(count)) as site:
        await site.journal.with_store(lambda store: store.write([Write(one, None) for one in past_of(name_of(0))]))
        async with visiting(browser, str(site.client.make_url("")).rstrip("/")) as visit:
            yield visit


@pytest.mark.parametrize("count", [12, 200, 2_000, 10_000])
async def test_fleet_of_any_size_is_readable_at_every_width(browser: Browser, tmp_path: Path, count: int) -> None:
    async with visit_of(browser, tmp_path, count) as visit:
        await visit.open("/status?state=failed&q=192.168.100.0")
        await expect(visit.servers()).to_have_text([name_of(0)])
        await visit.page.locator("#clear").click()
        trouble = sum(KINDS[number % len(KINDS)][0] in TROUBLE for number in range(count))
        await expect(visit.page).to_have_title(re.compile(rf"^\({trouble:,}\) comfywarm"))
        for width, (language, theme) in product(HEIGHTS, LOOKS):
            await visit.page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
            await visit.page.emulate_media(color_scheme=theme)
            await visit.page.locator(f"button[data-language={language}]").click()
            await _expect_readable(visit, f"{width} px, {language}")


async def test_rows_in_view_show_their_last_day_and_no_others_ask(browser: Browser, tmp_path: Path) -> None:
    async with visit_of(browser, tmp_path, 10_000) as visit:
        asked: list[set[str]] = []
        visit.page.on("request", lambda request: asked.append(_trend_names(request)))
        await visit.open()
        await expect(visit.row(name_of(0)).locator(".history svg")).to_be_visible()
        await expect(visit.row(name_of(0))).to_contain_text("lowest 0%, newest 0%")
        await visit.page.evaluate("scrollTo(0, 200_000)")
        await expect(visit.link(name_of(0))).to_have_count(0)
        await expect(visit.page.locator("tr.server .history svg").first).to_be_attached()
        first, *later = filter(None, asked)
        assert name_of(0) in first
        assert name_of(0) not in set().union(*later)
        assert max(map(len, asked)) <= 60
        assert sum(map(len, asked)) < 150


def _trend_names(request: Request) -> set[str]:
    """Return the servers whose last day is requested."""
    address = urlsplit(request.url)
    return set(parse_qs(address.query).get("server", [])) if address.path == "/api/trends" else set()


async def _expect_readable(visit: Visit, look: str) -> None:
    await visit.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    for text in (".server .open", ".server .waits-for span", ".server .waits-for time", ".server .percent"):
        assert await visit.page.evaluate(CUT, text) == [], look
    names = await visit.servers().all_inner_texts()
    assert len(names) == len(set(names)) > 3, look
    assert (await visit.page.evaluate(IN_VIEW))[:1] == [name_of(0)], look
    assert await visit.page.evaluate(SIDEWAYS) <= 0, look
