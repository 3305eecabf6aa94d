"""axe finds no serious or critical problem, in both languages and themes, with and without the drawer."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Browser, Page, expect

from tests.browser.fleets import Deployment, restartable
from tests.browser.test_rollout import RUN, FakeRun
from tests.browser.visit import DISCONNECTED, PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SERIOUS = {"serious", "critical"}
THEMES = ("light", "dark")
LOCALES = ("en-GB", "zh-CN")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("locale", LOCALES)
async def test_axe_in_each_language_and_theme_finds_nothing_serious(
    browser: Browser, shared: Deployment, locale: str, theme: str
) -> None:
    options: dict[str, Any] = {"locale": locale, "color_scheme": theme, "reduced_motion": "reduce"}
    async with visiting(browser, shared.address, **options) as visit:
        await visit.open()
        assert await violations(visit.page) == [], "without the drawer"
        await visit.link("field-broken").click()
        await expect(visit.drawer("field-broken")).to_be_visible()
        assert await violations(visit.page) == [], "with the drawer"


@pytest.mark.parametrize(("locale", "theme"), list(zip(LOCALES, THEMES, strict=True)))
async def test_axe_on_a_phone_finds_nothing_serious(
    browser: Browser, shared: Deployment, locale: str, theme: str
) -> None:
    options: dict[str, Any] = {"locale": locale, "color_scheme": theme, "viewport": PHONE, "reduced_motion": "reduce"}
    async with visiting(browser, shared.address, **options) as visit:
        await visit.open()
        for view in ("warmth", "log", "fleet"):
            await visit.page.locator(f"button[data-view-choice={view}]").click()
            assert await violations(visit.page) == [], view
        await (await visit.find("field-broken")).click()
        await expect(visit.drawer("field-broken")).to_be_visible()
        assert await violations(visit.page) == [], "with the drawer"


async def test_axe_with_a_dialog_open_finds_nothing_serious(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.button("Pause group public").click()
        await expect(visit.page.get_by_role("dialog")).to_be_visible()
        assert await violations(visit.page) == []


@pytest.mark.parametrize(("locale", "theme"), list(zip(LOCALES, THEMES, strict=True)))
async def test_axe_with_a_rolling_restart_finds_nothing_serious(
    browser: Browser, shared: Deployment, locale: str, theme: str
) -> None:
    options: dict[str, Any] = {"locale": locale, "color_scheme": theme, "reduced_motion": "reduce"}
    async with visiting(browser, shared.address, **options) as visit:
        await FakeRun({**RUN, "reason": "no_progress"}).install(visit.page)
        await visit.open()
        await expect(visit.page.locator("#rollout")).to_be_visible()
        assert await violations(visit.page) == []


async def test_axe_while_disconnected_finds_nothing_serious(browser: Browser, tmp_path: Path) -> None:
    async with (
        restartable(tmp_path) as (deployment, daemon),
        visiting(browser, deployment.address, expected=DISCONNECTED) as visit,
    ):
        await visit.open()
        await daemon.end()
        await expect(visit.page.get_by_role("alert")).to_be_visible()
        assert await violations(visit.page) == []


async def test_axe_with_an_unnamed_button_reports_it(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.page.evaluate("document.body.append(document.createElement('button'))")
        assert any("button-name" in violation for violation in await violations(visit.page))


async def violations(page: Page) -> list[str]:
    """Return the serious violations that axe finds. `evaluate` is not subject to the Content-Security-Policy."""
    results = (await Axe().run(page)).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {[node['html'][:200] for node in violation['nodes'][:5]]}"
        for violation in results
        if violation["impact"] in SERIOUS
    ]
