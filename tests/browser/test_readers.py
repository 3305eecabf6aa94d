"""Readers differ: in language, light, the size of their screen, and whether they use a mouse."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.fleets import TWELVE, World
from tests.browser.visit import PHONE, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MOST_TABS = 200
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


@pytest.mark.parametrize(
    ("locale", "lang", "word"), [("zh-CN", "zh-CN", "已加载"), ("de-DE", "en", "Loaded"), ("en-GB", "en", "Loaded")]
)
async def test_the_browser_names_the_language(
    browser: Browser, quiet: World, locale: str, lang: str, word: str
) -> None:
    async with visiting(browser, quiet.address, locale=locale) as visit:
        await visit.go()
        await expect(visit.page.locator("html")).to_have_attribute("lang", lang)
        await expect(visit.row("public-1")).to_contain_text(word)


async def test_a_chosen_language_stays(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        await visit.button("中文").click()
        await expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(visit.row("field-broken")).to_contain_text("失败")
        await expect(visit.row("field-broken")).not_to_contain_text("Failed")
        await visit.page.reload()
        await expect(visit.row("field-broken")).to_contain_text("失败")
        await expect(visit.page).to_have_title(re.compile("[\u4e00-\u9fff]"))
        await visit.button("English").click()
        await expect(visit.row("field-broken")).to_contain_text("Failed")


async def test_no_word_is_left_in_the_other_language(browser: Browser, quiet: World) -> None:
    """In Chinese every button, heading and label has Chinese characters, or is a name."""
    async with visiting(browser, quiet.address, locale="zh-CN") as visit:
        await visit.go("/status#server=lab-stalled")
        await expect(visit.drawer("lab-stalled")).to_be_visible()
        names = {"English", "comfywarm", "public", "lab", "field", *TWELVE}
        for role in ("button", "heading", "columnheader", "combobox", "searchbox"):
            for node in await visit.page.get_by_role(role).all():
                words = await node.get_attribute("aria-label") or await node.inner_text()
                assert words.strip() in names or re.search("[\u4e00-\u9fff]", words) or not words.strip(), words


async def test_dark_and_light_follow_the_system_and_the_choice(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address, color_scheme="dark") as visit:
        await visit.go()
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
async def test_a_phone_scrolls_in_one_direction(browser: Browser, quiet: World, locale: str) -> None:
    options: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True, "locale": locale}
    async with visiting(browser, quiet.address, **options) as visit:
        await visit.go()
        for view in ("fleet", "warmth", "log", "fleet"):
            await visit.page.locator(f"button[data-view-choice={view}]").tap()
            await expect(visit.page.locator("body")).to_have_attribute("data-view", view)
            assert await visit.page.evaluate(OVERFLOW) <= 0, view
        await (await visit.find("field-broken")).tap()
        drawer = visit.drawer("field-broken")
        await expect(drawer).to_be_visible()
        assert await visit.page.evaluate(OVERFLOW) <= 0
        assert await drawer.evaluate("node => node.scrollWidth - node.clientWidth") <= 0


async def test_a_finger_finds_the_buttons(browser: Browser, quiet: World) -> None:
    """WCAG 2.2, 2.5.8: a target is at least 24 by 24 px."""
    async with visiting(browser, quiet.address, viewport=PHONE, has_touch=True, is_mobile=True) as visit:
        await visit.go()
        for button in await visit.page.get_by_role("button").all():
            box = await button.bounding_box()
            assert box is None or (box["width"] >= 24 and box["height"] >= 24), await button.inner_text()


async def test_the_keyboard_is_enough(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        keyboard = visit.page.keyboard
        await keyboard.press("/")
        await expect(visit.page.get_by_role("searchbox", name="Search servers")).to_be_focused()
        await keyboard.type("lab-")
        await expect(visit.link("public-1")).to_have_count(0)
        await _tab_to(visit.page, visit.button("lab"))
        await keyboard.press("ArrowDown")
        await expect(visit.link("lab-1")).to_be_focused()
        await keyboard.press("ArrowDown")
        await expect(visit.link("lab-2")).to_be_focused()
        await keyboard.press("Enter")
        drawer = visit.drawer("lab-2")
        await expect(drawer).to_be_visible()
        await keyboard.press("Escape")
        await expect(drawer).to_be_hidden()
        await expect(visit.link("lab-2")).to_be_focused()
        await _tab_to(visit.page, visit.button("Pause lab-2"))
        await keyboard.press("Enter")
        await expect(visit.row("lab-2")).to_contain_text("Paused")
        await _tab_to(visit.page, visit.button("Resume lab-2"))
        await keyboard.press("Space")
        await expect(visit.row("lab-2")).to_contain_text("Loaded")


async def test_the_focus_goes_round_and_is_always_seen(browser: Browser, quiet: World) -> None:
    async with visiting(browser, quiet.address) as visit:
        await visit.go()
        stops = 0
        for _ in range(MOST_TABS):
            await visit.page.keyboard.press("Tab")
            focused = visit.page.locator(":focus")
            if await focused.count() == 0:
                break
            assert await focused.evaluate(FOCUS_SHOWS), await focused.evaluate("node => node.outerHTML.slice(0, 200)")
            stops += 1
        assert 15 < stops < MOST_TABS, "Tab must reach the controls, and leave them again"


async def _tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(MOST_TABS):
        if await target.evaluate("node => node === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")
