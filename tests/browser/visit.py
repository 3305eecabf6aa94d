"""A reader at the page: a browser's page that complains of whatever no reader may meet.

Watched over the whole visit: errors in the console (a breach of the Content-Security-Policy is one), exceptions of the
page's scripts, and requests to anywhere but the daemon.
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
PATIENCE_MS = 15_000
"""For everything that the page is expected to do by itself; generous for a machine that is shared."""
TABLE = re.compile("^(Servers|服务器)$")
AWAY = "net::ERR_"
REFUSED = "status of 401"
"""What Chromium itself writes where the daemon is away, or wants its token; no page can prevent that."""


@dataclass
class Visit:
    """One visit; `at` is the daemon's address."""

    page: Page
    at: str
    expected: str | None = None
    """Errors with these words belong to the test: AWAY or REFUSED."""
    complaints: list[str] = field(default_factory=list)

    async def go(self, path: str = "/status") -> None:
        """Open the page, and wait until the fleet is on it."""
        await self.page.goto(self.at + path)
        await expect(self.page.locator("html[data-ready]")).to_be_attached()

    def table(self) -> Locator:
        """The servers."""
        return self.page.get_by_role("table", name=TABLE)

    def row(self, server: str) -> Locator:
        """The server's row in the table."""
        return self.table().get_by_role("row").filter(has=self.page.get_by_role("link", name=server, exact=True))

    def link(self, server: str) -> Locator:
        """What opens the server's drawer."""
        return self.table().get_by_role("link", name=server, exact=True)

    async def find(self, server: str) -> Locator:
        """Search for the server, as on a phone, where its row may be far below; what opens it."""
        await self.page.locator("#search").fill(server)
        return self.link(server)

    def button(self, name: str | Pattern[str]) -> Locator:
        """The button of that name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def drawer(self, server: str) -> Locator:
        """The server's drawer, where it is open."""
        return self.page.get_by_role("dialog", name=server, exact=True)

    def region(self, name: str) -> Locator:
        """The part of the page with that heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    def log(self) -> Locator:
        """The entries of the event log that are on the page, newest first."""
        return self.region("Event log").get_by_role("listitem")

    def servers(self) -> Locator:
        """What opens each server, from the table's top, as far as the table is drawn."""
        return self.table().get_by_role("rowheader").get_by_role("link")

    def hear(self, message: ConsoleMessage) -> None:
        """A line in the console."""
        expected = self.expected is not None and self.expected in message.text
        if message.type in {"error", "warning"} and not expected:
            self.complaints.append(f"console {message.type}: {message.text}")

    def see(self, request: Request) -> None:
        """A request is made."""
        if not request.url.startswith((f"{self.at}/", "data:", "blob:")):
            self.complaints.append(f"request to another origin: {request.url}")


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium")
    assert path, "Chromium is needed: apt-get install chromium"
    expect.set_options(timeout=PATIENCE_MS)
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
    """A reader with a browser of their own (`context`: Playwright's options); nothing to complain of at the end."""
    options = {"viewport": DESKTOP, "locale": "en-GB", **context}
    async with await browser.new_context(**options) as tabs:
        tabs.set_default_timeout(PATIENCE_MS)
        page = await tabs.new_page()
        visit = Visit(page, address, expected)
        page.on("console", visit.hear)
        page.on("pageerror", lambda error: visit.complaints.append(f"exception: {error}"))
        page.on("request", visit.see)
        yield visit
    assert visit.complaints == []
