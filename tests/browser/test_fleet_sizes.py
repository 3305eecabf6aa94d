"""12 to 10,000 servers named HOST:PORT, on a phone and on wide screens, in both languages and themes."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

pytestmark = [
    pytest.mark.browser,
    pytest.mark.alone,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(90),
]

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
        asked: list[set[str]] = []
        visit.page.on("request", lambda request: asked.append(_trend_names(request)))
        await visit.open("/status?state=failed&q=192.168.100.0")
        await expect(visit.servers()).to_have_text([name_of(0)])
        await expect(visit.row(name_of(0)).locator(".history svg")).to_be_visible()
        await expect(visit.row(name_of(0))).to_contain_text("lowest 0%, newest 0%")
        await visit.page.locator("#clear").click()
        trouble = sum(KINDS[number % len(KINDS)][0] in TROUBLE for number in range(count))
        await expect(visit.page).to_have_title(re.compile(rf"^\({trouble:,}\) comfywarm"))
        for language, theme in LOOKS:
            await visit.page.emulate_media(color_scheme=theme)
            await visit.page.locator(f"button[data-language={language}]").click()
            for width, height in HEIGHTS.items():
                await visit.page.set_viewport_size({"width": width, "height": height})
                await _expect_readable(visit, f"{width} px, {language}")
        await _expect_only_rows_in_view_were_asked_for(visit, asked)


async def _expect_only_rows_in_view_were_asked_for(visit: Visit, asked: list[set[str]]) -> None:
    """Expect few names in each request, and none twice; scroll to the end, which asks for those there."""
    await visit.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await expect(visit.page.locator("tr.server .history svg").last).to_be_attached()
    assert max(map(len, asked)) <= 60
    assert sum(map(len, asked)) == len(set().union(*asked)) < 150


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
