"""The page in the reader's language."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import TWELVE, Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("locale", "lang", "text"), [("zh-CN", "zh-CN", "已加载"), ("de-DE", "en", "Loaded"), ("en-GB", "en", "Loaded")]
)
async def test_language_follows_the_browser(
    browser: Browser, shared: Deployment, locale: str, lang: str, text: str
) -> None:
    async with visiting(browser, shared.address, locale=locale) as visit:
        await visit.open()
        await expect(visit.page.locator("html")).to_have_attribute("lang", lang)
        await expect(visit.row("public-1")).to_contain_text(text)


async def test_language_chosen_survives_a_reload(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.button("中文").click()
        await expect(visit.page.locator("html")).to_have_attribute("lang", "zh-CN")
        await expect(visit.row("field-broken")).to_contain_text("失败")
        await expect(visit.row("field-broken")).not_to_contain_text("Failed")
        await visit.page.reload()
        await expect(visit.row("field-broken")).to_contain_text("失败")
        await expect(visit.page).to_have_title(re.compile("[\u4e00-\u9fff]"))
        await visit.button("English").click()
        await expect(visit.row("field-broken")).to_contain_text("Failed")


async def test_chinese_page_has_no_english_controls(browser: Browser, shared: Deployment) -> None:
    """Every control and heading has Chinese characters or is a name."""
    async with visiting(browser, shared.address, locale="zh-CN") as visit:
        await visit.open("/status#server=lab-stalled")
        await expect(visit.drawer("lab-stalled")).to_be_visible()
        names = {"English", "comfywarm", "public", "lab", "field", *TWELVE}
        for role in ("button", "heading", "columnheader", "combobox", "searchbox"):
            for node in await visit.page.get_by_role(role).all():
                words = await node.get_attribute("aria-label") or await node.inner_text()
                assert words.strip() in names or re.search("[\u4e00-\u9fff]", words) or not words.strip(), words
