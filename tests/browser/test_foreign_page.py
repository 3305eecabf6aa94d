"""Another site's page, open in the same browser, can neither act nor read; nor can it put ours into a frame."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from playwright.async_api import Browser, expect

from tests.browser.fleets import World

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
    """A page of somebody else's on this machine."""

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


async def test_it_can_neither_act_nor_read(browser: Browser, quiet: World) -> None:
    async with foreign_site() as elsewhere, await browser.new_context() as tabs:
        page = await tabs.new_page()
        await page.goto(elsewhere)
        assert await page.evaluate(READ, f"{quiet.address}/api/status") == "unreadable"
        await page.evaluate(POSTED, f"{quiet.address}/api/servers/lab-1/pause")
        await expect(page.get_by_text("foreign_origin")).to_be_visible()
    assert (await quiet.get("/api/servers/lab-1"))["state"] == "loaded"


async def test_it_cannot_frame_the_page(browser: Browser, quiet: World) -> None:
    async with foreign_site() as elsewhere, await browser.new_context() as tabs:
        page = await tabs.new_page()
        await page.goto(elsewhere)
        await page.evaluate(FRAMED, f"{quiet.address}/status")
        inside = page.frames[1]
        assert await inside.locator("#table").count() == 0
