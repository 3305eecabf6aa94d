"""Themes, small screens, and use by touch or keyboard alone."""

from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.fleets import Deployment
from tests.browser.visit import PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MAX_TABS = 200
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BACKGROUND = """() => {
  const parts = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (parts[0] + parts[1] + parts[2]) / 3;
}"""
"""Lightness of the page's background, 0 to 255."""
FOCUS_SHOWS = """node => {
  const style = getComputedStyle(node);
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none';
}"""


async def test_theme_follows_the_system_unless_chosen(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, color_scheme="dark") as visit:
        await visit.open()
        assert await visit.page.evaluate(BACKGROUND) < 80
        await visit.button("Light").click()
        assert await visit.page.evaluate(BACKGROUND) > 200
        await visit.page.reload()
        await expect(visit.button("Light")).to_have_attribute("aria-pressed", "true")
        assert await visit.page.evaluate(BACKGROUND) > 200
        await visit.button("Automatic").click()
        assert await visit.page.evaluate(BACKGROUND) < 80
        await visit.page.emulate_media(color_scheme="light")
        assert await visit.page.evaluate(BACKGROUND) > 200
        await visit.button("Dark").click()
        assert await visit.page.evaluate(BACKGROUND) < 80


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
async def test_phone_page_never_scrolls_sideways(browser: Browser, shared: Deployment, locale: str) -> None:
    options: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "locale": locale}
    async with visiting(browser, shared.address, **options) as visit:
        await visit.open()
        for view in ("fleet", "warmth", "log", "fleet"):
            await visit.page.locator(f"button[data-view-choice={view}]").tap()
            await expect(visit.page.locator("body")).to_have_attribute("data-view", view)
            assert await visit.page.evaluate(OVERFLOW) <= 0, view
        await (await visit.find("field-broken")).tap()
        drawer = visit.drawer("field-broken")
        await expect(drawer).to_be_visible()
        assert await visit.page.evaluate(OVERFLOW) <= 0
        assert await drawer.evaluate("node => node.scrollWidth - node.clientWidth") <= 0


async def test_keyboard_alone_reaches_every_control(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        keyboard = visit.page.keyboard
        await keyboard.press("/")
        await expect(visit.page.get_by_role("searchbox", name="Search servers")).to_be_focused()
        await keyboard.type("lab-")
        await expect(visit.link("public-1")).to_have_count(0)
        await _tab_to(visit.page, visit.button("lab"))
        for name in ("lab-busy", "lab-stalled", "lab-1", "lab-2"):
            await keyboard.press("ArrowDown")
            await expect(visit.link(name)).to_be_focused()
        await keyboard.press("Enter")
        drawer = visit.drawer("lab-2")
        await expect(drawer).to_be_visible()
        await keyboard.press("Escape")
        await expect(drawer).to_be_hidden()
        await expect(visit.link("lab-2")).to_be_focused()
        await _tab_to(visit.page, visit.button("Pause lab-2"))
        await keyboard.press("Enter")
        await visit.page.keyboard.press("Enter")
        await expect(visit.row("lab-2")).to_contain_text("Paused")
        await _tab_to(visit.page, visit.button("Resume lab-2"))
        await keyboard.press("Space")
        await expect(visit.row("lab-2")).to_contain_text("Loaded")


async def test_tab_visits_controls_with_visible_focus_and_leaves(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        stops = 0
        for _ in range(MAX_TABS):
            await visit.page.keyboard.press("Tab")
            focused = visit.page.locator(":focus")
            if await focused.count() == 0:
                break
            assert await focused.evaluate(FOCUS_SHOWS), await focused.evaluate("node => node.outerHTML.slice(0, 200)")
            stops += 1
        assert 15 < stops < MAX_TABS, "Tab must reach the controls and leave them again"


async def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(MAX_TABS):
        if await target.evaluate("node => node === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")
