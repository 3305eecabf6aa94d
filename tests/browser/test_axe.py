"""What axe finds: nothing serious or critical, in both languages and both lights, with the drawer and without."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.browser.fleets import World, restartable
from tests.browser.visit import AWAY, PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

GRAVE = {"serious", "critical"}
LIGHTS = ("light", "dark")
LOCALES = ("en-GB", "zh-CN")


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("locale", LOCALES)
async def test_nothing_serious(browser: Browser, quiet: World, locale: str, light: str) -> None:
    options: dict[str, Any] = {"locale": locale, "color_scheme": light, "reduced_motion": "reduce"}
    async with visiting(browser, quiet.address, **options) as visit:
        await visit.go()
        assert await _found(visit.page) == [], "without the drawer"
        await visit.link("field-broken").click()
        await expect(visit.drawer("field-broken")).to_be_visible()
        assert await _found(visit.page) == [], "with the drawer"


@pytest.mark.parametrize(("locale", "light"), list(zip(LOCALES, LIGHTS, strict=True)))
async def test_nothing_serious_on_a_phone(browser: Browser, quiet: World, locale: str, light: str) -> None:
    options: dict[str, Any] = {"locale": locale, "color_scheme": light, "viewport": PHONE, "reduced_motion": "reduce"}
    async with visiting(browser, quiet.address, **options) as visit:
        await visit.go()
        for view in ("warmth", "log", "fleet"):
            await visit.page.locator(f"button[data-view-choice={view}]").click()
            assert await _found(visit.page) == [], view
        await (await visit.find("field-broken")).click()
        await expect(visit.drawer("field-broken")).to_be_visible()
        assert await _found(visit.page) == [], "with the drawer"


async def test_dialogs(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.button("Pause group public").click()
        await expect(visit.page.get_by_role("dialog")).to_be_visible()
        assert await _found(visit.page) == []


async def test_while_the_daemon_is_away(browser: Browser, tmp_path: Path) -> None:
    async with restartable(tmp_path) as (world, daemon), visiting(browser, world.address, expected=AWAY) as visit:
        await visit.go()
        await daemon.end()
        await expect(visit.page.get_by_role("alert")).to_be_visible()
        assert await _found(visit.page) == []


async def test_axe_is_awake(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.page.evaluate("document.body.append(document.createElement('button'))")
        assert any("button-name" in one for one in await _found(visit.page))


async def _found(page: Page) -> list[str]:
    """The grave findings of axe on the page as it is. `evaluate` is not subject to the page's policy."""
    results = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']} ({one['impact']}): {[node['html'][:200] for node in one['nodes'][:5]]}"
        for one in results
        if one["impact"] in GRAVE
    ]
