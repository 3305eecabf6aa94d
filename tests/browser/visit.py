"""A visit to the page that fails on problems no reader may meet.

These are errors and warnings in the console (among them violations of the Content-Security-Policy), exceptions of the
page's scripts, and requests to other origins.
"""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from re import Pattern
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
TIMEOUT_MS = 15_000
"""Time limit of every expectation; generous for a shared machine."""
TABLE = re.compile("^(Servers|服务器)$")
DISCONNECTED = "net::ERR_"
UNAUTHORIZED = "status of 401"
REFUSED_STATUS = "status of 40"
"""Console errors of Chromium when the daemon is unreachable, requires a token or refuses; no page can prevent them."""


@dataclass
class Visit:
    """One visit; `address` is the daemon's."""

    page: Page
    address: str
    expected: str | None = None
    """Console errors with this text are part of the test, e.g. DISCONNECTED or UNAUTHORIZED."""
    problems: list[str] = field(default_factory=list)

    async def open(self, path: str = "/status") -> None:
        """Open the page and wait until it shows the fleet."""
        await self.page.goto(self.address + path)
        await expect(self.page.locator("html[data-ready]")).to_be_attached()

    def table(self) -> Locator:
        """Return the table of servers."""
        return self.page.get_by_role("table", name=TABLE)

    def row(self, server: str) -> Locator:
        """Return the server's row in the table."""
        return self.table().get_by_role("row").filter(has=self.page.get_by_role("link", name=server, exact=True))

    def link(self, server: str) -> Locator:
        """Return the link that opens the server's drawer."""
        return self.table().get_by_role("link", name=server, exact=True)

    async def find(self, server: str) -> Locator:
        """Search for the server, whose row may not be rendered on a phone; return its link."""
        await self.page.locator("#search").fill(server)
        return self.link(server)

    async def pause(self, target: str) -> None:
        """Pause a server, or a group, until it is resumed."""
        await self.button(f"Pause {target}").click()
        await self.page.get_by_role("dialog", name=f"Pause {target}").get_by_role("button", name="Pause").click()

    def button(self, name: str | Pattern[str]) -> Locator:
        """Return the button of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def drawer(self, server: str) -> Locator:
        """Return the server's drawer."""
        return self.page.get_by_role("dialog", name=server, exact=True)

    def region(self, name: str) -> Locator:
        """Return the section of the page with that heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    def log(self) -> Locator:
        """Return the rendered entries of the event log, newest first."""
        return self.region("Event log").get_by_role("listitem")

    def servers(self) -> Locator:
        """Return the links of the rendered servers, from the top."""
        return self.table().get_by_role("rowheader").get_by_role("link")

    def on_console(self, message: ConsoleMessage) -> None:
        """Record an unexpected error or warning in the console."""
        expected = self.expected is not None and self.expected in message.text
        if message.type in {"error", "warning"} and not expected:
            self.problems.append(f"console {message.type}: {message.text}")

    def on_request(self, request: Request) -> None:
        """Record a request to another origin."""
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.problems.append(f"request to another origin: {request.url}")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Run Debian's Chromium, headless."""
    path = shutil.which("chromium")
    assert path, "Chromium is needed: apt-get install chromium"
    expect.set_options(timeout=TIMEOUT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def visiting(
    browser: Browser, address: str, *, expected: str | None = None, **context: Any
) -> AsyncIterator[Visit]:
    """Visit the page in a new browser context with Playwright's options; fail on problems at the end."""
    options = {"viewport": DESKTOP, "locale": "en-GB", **context}
    async with await browser.new_context(**options) as tabs:
        tabs.set_default_timeout(TIMEOUT_MS)
        page = await tabs.new_page()
        visit = Visit(page, address, expected)
        page.on("console", visit.on_console)
        page.on("pageerror", lambda error: visit.problems.append(f"exception: {error}"))
        page.on("request", visit.on_request)
        yield visit
    assert visit.problems == []
