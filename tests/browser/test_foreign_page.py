"""Another site's page in the same browser can neither read nor act, nor put the page into a frame."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

READ = "(url) => fetch(url).then((answer) => answer.text(), () => 'unreadable')"
POSTED = """(url) => {
  const form = Object.assign(document.createElement('form'), { method: 'post', action: url });
  document.body.append(form);
  form.submit();
}"""
FRAMED = """(url) => new Promise((done) => {
  const frame = Object.assign(document.createElement('iframe'), {src: url});
  frame.onload = () => done();
  document.body.append(frame);
})"""


@asynccontextmanager
async def foreign_site() -> AsyncIterator[str]:
    """Serve a page of another origin."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>elsewhere</title><body>", content_type="text/html")

    application = web.Application()
    application.router.add_get("/", page)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def test_foreign_page_can_neither_read_nor_act(browser: Browser, shared: Deployment) -> None:
    async with foreign_site() as elsewhere, await browser.new_context() as tabs:
        page = await tabs.new_page()
        await page.goto(elsewhere)
        assert await page.evaluate(READ, f"{shared.address}/api/status") == "unreadable"
        await page.evaluate(POSTED, f"{shared.address}/api/servers/lab-1/pause")
        await expect(page.get_by_text("foreign_origin")).to_be_visible()
    assert (await shared.get("/api/servers/lab-1"))["state"] == "loaded"


async def test_foreign_page_cannot_frame_the_page(browser: Browser, shared: Deployment) -> None:
    async with foreign_site() as elsewhere, await browser.new_context() as tabs:
        page = await tabs.new_page()
        await page.goto(elsewhere)
        await page.evaluate(FRAMED, f"{shared.address}/status")
        inside = page.frames[1]
        assert await inside.locator("#table").count() == 0
