"""Undoing, copying, links to a server's own page, shortcuts, the footer and what it links to."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect

from statemachine.version import version
from tests.browser.fleets import Deployment, twelve
from tests.browser.test_axe import violations
from tests.browser.visit import PHONE, Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
"""As on a page over plain HTTP."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def acting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """Run twelve servers for the tests of this module that act, each on servers of its own."""
    async with twelve(tmp_path_factory.mktemp("acting")) as deployment:
        yield deployment


async def test_pause_by_icon_is_undone_with_the_keyboard_alone(browser: Browser, acting: Deployment) -> None:
    async with visiting(browser, acting.address) as visit:
        await visit.open()
        await visit.pause("lab-1")
        await expect(visit.row("lab-1")).to_contain_text("Paused")
        message = visit.page.get_by_role("status").filter(has_text="Pause lab-1")
        await expect(message.get_by_role("button", name="Undo")).to_be_visible()
        assert await violations(visit.page) == []
        await visit.page.keyboard.press("u")
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await expect(visit.button("Pause lab-1")).to_be_focused()
        await expect(visit.button("Undo")).to_have_count(0)


async def test_resume_is_undone_with_the_terms_of_the_pause(browser: Browser, acting: Deployment) -> None:
    async with visiting(browser, acting.address) as visit:
        await visit.open()
        await visit.button("Pause lab-2").click()
        asked = visit.page.get_by_role("dialog", name="Pause lab-2")
        await asked.get_by_label("Ends").select_option("after 2 hours")
        await asked.get_by_label("Note").fill("driver update")
        await asked.get_by_role("button", name="Pause").click()
        await expect(visit.row("lab-2")).to_contain_text("Paused")
        before = (await acting.get("/api/servers/lab-2"))["pause"]
        await visit.button("Resume lab-2").click()
        await expect(visit.row("lab-2")).to_contain_text("Loaded")
        await visit.page.get_by_role("status").filter(has_text="Resume lab-2").get_by_role("button").click()
        await expect(visit.row("lab-2")).to_contain_text("Paused")
        assert (await acting.get("/api/servers/lab-2"))["pause"] == before


async def test_group_pause_is_undone_unless_a_server_was_paused(browser: Browser, acting: Deployment) -> None:
    async with visiting(browser, acting.address) as visit:
        await visit.open()
        await visit.pause("group public")
        await expect(visit.row("public-4")).to_contain_text("Paused")
        await visit.button("Undo").click()
        await expect(visit.row("public-4")).to_contain_text("Loaded")
        await acting.post("/api/servers/field-odd/pause")
        await expect(visit.row("field-odd")).to_contain_text("Paused")
        await visit.pause("group field")
        await expect(visit.page.get_by_role("status").filter(has_text="Pause group field")).to_be_visible()
        await expect(visit.button("Undo")).to_have_count(0)


async def test_undo_is_within_reach_of_a_drawer_on_a_phone(browser: Browser, acting: Deployment) -> None:
    async with visiting(browser, acting.address, viewport=PHONE, has_touch=True, is_mobile=True) as visit:
        await visit.open("/status#server=public-1")
        drawer = visit.drawer("public-1")
        await drawer.get_by_role("button", name="Pause public-1").tap()
        await visit.page.get_by_role("dialog", name="Pause public-1").get_by_role("button", name="Pause").tap()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Paused")
        await visit.button("Undo").tap()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Loaded")


async def test_copy_buttons_copy_with_and_without_a_clipboard(browser: Browser, shared: Deployment) -> None:
    """A modal drawer, as on narrow screens, is the harder case: nothing outside of it can be selected."""
    detail = await shared.get("/api/servers/lab-stalled")
    async with visiting(browser, shared.address, viewport={"width": 1000, "height": 800}) as visit:
        await visit.open("/status#server=lab-stalled")
        drawer = visit.drawer("lab-stalled")
        copies = {
            drawer.get_by_role("button", name="Copy name"): "lab-stalled",
            drawer.get_by_role("button", name="Copy address"): detail["url"],
            drawer.get_by_role("button", name="Copy prompt ID").first: detail["prompt_id"],
            drawer.get_by_role("button", name="Copy raw answer"): detail["check"]["raw"],
        }
        for script in ("", NO_CLIPBOARD):
            await visit.page.evaluate(script)
            for button, text in copies.items():
                await _copy(visit, button, text[:12])
                assert await _pasted(visit) == " ".join(text.split())
                await expect(button).to_be_focused()
        await _copy(visit, drawer.get_by_role("button", name="Copy entry").first, "20")
        assert detail["transitions"][0]["message"] in await _pasted(visit)


async def _copy(visit: Visit, button: Locator, start: str) -> None:
    """Click the button and wait until the page says that it has copied a text with this start."""
    await visit.page.evaluate("document.getElementById('toasts').replaceChildren()")
    await button.click()
    await expect(visit.page.locator(".toast")).to_contain_text(f"Copied: {start}")


async def test_copy_of_a_log_entry_has_all_of_it(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.page.locator("#log-search").fill("field-broken")
        await expect(visit.log().first).to_contain_text("field-broken")
        await _copy(visit, visit.log().first.get_by_role("button", name="Copy entry"), "20")
        copied = await _pasted(visit)
        assert re.match(r"\d{4}-\d\d-\d\dT\S+Z · field-broken · \w.* → Failed · Nodes missing · ", copied), copied


async def _pasted(visit: Visit) -> str:
    """Return what the browser pastes into a field of its own."""
    await visit.page.evaluate(
        """() => {
          const [field, focused] = [document.createElement('textarea'), document.activeElement];
          (document.querySelector('dialog:modal') ?? document.body).append(field);
          Object.assign(window, { field, focused });
          field.focus();
        }"""
    )
    await visit.page.keyboard.press("Control+v")
    text = await visit.page.evaluate("() => { field.remove(); focused.focus(); return field.value }")
    return " ".join(str(text).split())


async def test_row_links_to_the_page_of_its_server(browser: Browser, shared: Deployment) -> None:
    url = (await shared.get("/api/servers/lab-1"))["url"]
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await visit.page.locator("#search").fill("lab-1")
        link = visit.table().get_by_role("link", name="Open the page of lab-1")
        for width in (390, 800, 1280, 1440, 1920):
            await visit.page.set_viewport_size({"width": width, "height": 900})
            await expect(link).to_be_visible()
            await link.click(trial=True)
        await expect(link).to_have_attribute("href", url)
        await expect(link).to_have_attribute("target", "_blank")
        await expect(link).to_have_attribute("rel", re.compile("noopener"))


async def test_shortcuts_are_listed_and_rest_while_the_reader_types(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        dialog = visit.page.get_by_role("dialog", name="Keyboard shortcuts")
        search = visit.page.get_by_role("searchbox", name="Search servers")
        await visit.page.keyboard.press("/")
        await visit.page.keyboard.type("/?u")
        await expect(search).to_have_value("/?u")
        await expect(dialog).to_be_hidden()
        await visit.page.locator("#group-filter").focus()
        await visit.page.keyboard.press("?")
        await expect(dialog).to_be_hidden()
        await search.fill("")
        await visit.link("lab-1").focus()
        await visit.page.keyboard.press("Control+/")
        await expect(search).not_to_be_focused()
        await visit.page.keyboard.press("?")
        await expect(dialog).to_contain_text("Search servers")
        await visit.page.keyboard.press("/")
        await expect(search).not_to_be_focused()
        assert await violations(visit.page) == []
        await visit.page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(visit.link("lab-1")).to_be_focused()


async def test_footer_has_version_and_documentation(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, locale="zh-CN") as visit:
        await visit.open()
        footer = visit.page.get_by_role("contentinfo")
        await expect(footer).to_contain_text(f"comfywarm {version()}")
        await footer.get_by_role("button", name="快捷键").click()
        await visit.page.get_by_role("dialog").get_by_role("button", name="关闭").click()
        await footer.get_by_role("link", name="文档").click()
        await expect(visit.page.get_by_role("heading", name="原因")).to_be_visible()
        await expect(visit.page.locator("#auto_executing")).to_contain_text("后台执行中")
        assert await violations(visit.page) == []
        await visit.page.get_by_role("link", name="English").click()
        await expect(visit.page.locator("#out_of_memory")).to_contain_text("Out of memory")


async def test_phone_has_controls_of_44_pixels_and_readable_progress(browser: Browser, shared: Deployment) -> None:
    async with visiting(
        browser, shared.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    ) as visit:
        await visit.open()
        for view in ("warmth", "log", "fleet"):
            await visit.page.locator(f"button[data-view-choice={view}]").tap()
            assert await _too_small(visit.page.locator("body")) == [], view
        link = await visit.find("lab-stalled")
        await _expect_progress_is_readable(visit.row("lab-stalled"))
        await link.tap()
        await expect(visit.drawer("lab-stalled").get_by_role("region", name="Attempts")).to_be_visible()
        assert await _too_small(visit.drawer("lab-stalled")) == []
        await visit.drawer("lab-stalled").get_by_role("button", name="Pause lab-stalled").tap()
        assert await _too_small(visit.page.get_by_role("dialog", name="Pause lab-stalled")) == []


async def _expect_progress_is_readable(row: Locator) -> None:
    """Expect a wide bar, and the percent beside it, within the row."""
    frame, bar, percent = [
        await part.bounding_box() for part in (row, row.get_by_role("progressbar"), row.locator(".percent"))
    ]
    assert frame is not None
    assert bar is not None
    assert percent is not None
    assert bar["width"] > frame["width"] / 2
    assert bar["height"] >= 10
    assert percent["x"] >= bar["x"] + bar["width"]
    assert percent["x"] + percent["width"] <= frame["x"] + frame["width"]


async def _too_small(part: Locator) -> list[str]:
    """Return the controls that can be seen and are less than 44 px high or wide. Links within sentences may be."""
    found: list[str] = await part.evaluate(
        """(part) => [...part.querySelectorAll('button, a[href], input, select, summary')].filter((one) => {
          const { width, height } = one.getBoundingClientRect();
          return one.checkVisibility() && (width < 44 || height < 44) && !one.closest('.message, .decisions');
        }).map((one) => `${one.outerHTML.slice(0, 120)} ${one.offsetWidth}x${one.offsetHeight}`)"""
    )
    return found
