"""The page in the reader's language."""

import json
import re

import pytest
from playwright.async_api import Browser, Route, expect

from tests.browser.fleets import TWELVE, Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


CHINESE = re.compile("[\u4e00-\u9fff]")
ENGLISH = re.compile("[A-Za-z]{3}")
NAMES = {"English", "comfywarm", "cache_models", "public", "lab", "field", "text", "posix", *TWELVE}
OWN_TEXTS = ".message, .why, pre, code, .chips, .device-name, #drawer-url, #drawer-server dd"
"""Elements whose texts come from a server, with those of the daemon's messages."""
TEXTS = """(excluded) => {
  const texts = [];
  for (const node of document.querySelectorAll("body *:not(script, template, noscript)")) {
    if (node.closest(`${excluded}, svg[hidden]`)) continue;
    for (const name of ["aria-label", "title", "placeholder", "alt"]) texts.push(node.getAttribute(name));
    for (const child of node.childNodes) if (child.nodeType === Node.TEXT_NODE) texts.push(child.data.trim());
  }
  return texts.filter(Boolean);
}"""
MESSAGES = ("missing key-a, key-b", "缺少 key-a、key-b")
"""One message in English and in Chinese."""


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


async def test_chinese_page_shows_no_english_text(browser: Browser, shared: Deployment) -> None:
    """Every text, label, title and placeholder has Chinese characters or is a name, a number or a server's own text."""
    async with visiting(browser, shared.address, locale="zh-CN") as visit:
        for server in ("lab-stalled", "field-broken", "field-absent"):
            await visit.open(f"/status#server={server}")
            await expect(visit.drawer(server).locator(".transitions li").first).to_be_visible()
            texts = await visit.page.evaluate(TEXTS, OWN_TEXTS)
            assert len(texts) > 100
            assert {text for text in texts if ENGLISH.search(text) and not CHINESE.search(text)} <= NAMES
            await visit.page.reload()


async def test_messages_after_a_switch_of_language_are_rendered_again(browser: Browser, shared: Deployment) -> None:
    """The server waits for its retry, so that no live figures bring another message."""
    async with visiting(browser, shared.address) as visit:
        await visit.page.route("**/status", add_catalogue)
        await visit.page.route(re.compile("/api/(status|servers/field-broken)$"), add_message_codes)
        await visit.page.set_viewport_size({"width": 1440, "height": 2000})  # rows out of sight are not drawn
        await visit.open("/status#server=field-broken")
        row, drawer = visit.row("field-broken"), visit.drawer("field-broken")
        search = visit.page.get_by_role("searchbox").first
        for language, message, other in (("English", *MESSAGES), ("中文", *reversed(MESSAGES))):
            await visit.button(language).press("Enter")  # the drawer covers it
            await expect(row.locator(".message")).to_have_text(message)
            await expect(row.locator(".message")).to_have_attribute("title", message)
            await expect(drawer.get_by_text(message)).not_to_have_count(0)
            await expect(drawer.get_by_text(other)).to_have_count(0)
            await search.fill(message)
            await expect(row).to_be_visible()
            await search.fill(other)
            await expect(row).to_have_count(0)
            await search.fill("")


async def add_catalogue(route: Route) -> None:
    """Serve the page with a template for the message code "missing"."""
    response = await route.fetch()
    html = await response.text()
    (data,) = re.findall(r'<script type="application/json" id="texts">(.*?)</script>', html)
    texts = json.loads(data)
    texts["en"]["message"], texts["zh"]["message"] = {"missing": "missing {keys}"}, {"missing": "缺少 {keys}"}
    await route.fulfill(response=response, body=html.replace(data, json.dumps(texts)))


async def add_message_codes(route: Route) -> None:
    """Serve the views and transitions with that code."""
    response = await route.fetch()
    data = await response.json()
    coded = {"message": "fallback", "message_code": "missing", "message_params": {"keys": ["key-a", "key-b"]}}
    for entry in (data, *data.get("servers", ()), *data.get("transitions", ())):
        entry.update(coded)
    await route.fulfill(response=response, json=data)
