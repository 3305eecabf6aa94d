"""Take the screenshots of the README: `python -m tests.browser.screenshots` writes docs/images/."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, expect

from statemachine.daemon.app import running_daemon
from statemachine.i18n.text import Language
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES
from tests.browser.fleets import (
    BROKEN,
    LOADED,
    LOADS_BY_ITSELF,
    TIMING,
    VERY_LONG_S,
    Deployment,
    Json,
    Specs,
    settings_over,
    simulated,
)
from tests.browser.history import write_history
from tests.browser.visit import PHONE, Visit, running_browser, visiting
from tests.support.paths import DOCS, REPOSITORY

IMAGES = DOCS / "images"
LARGEST_BYTES = 300_000
WIDE = {"width": 1440, "height": 900}
MIXED = (
    LOADED, LOADED, LOADED, replace(PROFILES["stalling"], stall_after_models=3), LOADED, LOADED, LOADED, LOADED,
    LOADS_BY_ITSELF, LOADED, LOADED, LOADED, LOADED, replace(PROFILES["stalling"], stall_after_models=1), LOADED,
    LOADED, LOADED, LOADED, BROKEN, LOADED, LOADED, PROFILES["absent"], LOADED, PROFILES["cold"],
)  # fmt: skip
"""Assigned in turn; servers of PROFILES["cold"] get a user's prompt, so that they stay cold."""
HOURS_S = 5_000.0
SHARES = {"public": 28, "lab": 20, "field": 12}
"""Group → number of servers."""
SETTLED = {"loaded", "warming", "auto_executing", "failed", "unreachable", "cold", "paused"}


@asynccontextmanager
async def busy_fleet(folder: Path, language: Language) -> AsyncIterator[Deployment]:
    """Run sixty servers in most of the states, with a journal of the last week."""
    profiles = islice(cycle(MIXED), sum(SHARES.values()))
    names = [(f"{group}-{number:02}", group) for group, count in SHARES.items() for number in range(1, count + 1)]
    specs: Specs = {name: (group, profile) for (name, group), profile in zip(names, profiles, strict=True)}
    clock = Clock()
    write_history(folder / "data", dict(names), clock(), language)
    async with simulated(specs) as (fleet, servers):
        for server in servers.values():
            if server.profile.name == "cold":
                server.start_foreign_job(VERY_LONG_S)
        data = settings_over(
            fleet, specs, listen={"port": 0}, language=language, timing={**TIMING, "check_interval_s": 1}
        )
        async with running_daemon(parse_settings(data, folder, {}), now=clock) as daemon:
            deployment = Deployment(daemon.address, servers)
            await deployment.wait_for_states(lambda states: "warming" in states and "checking" not in states)
            await _play_hours(deployment, clock)
            await deployment.wait_for_states(lambda states: set(states) == SETTLED)
            yield deployment


class Clock:
    """A wall clock that starts in the past and catches up with the real one by `advance`."""

    def __init__(self) -> None:
        self._behind_s = HOURS_S

    def __call__(self) -> float:
        return time.time() - self._behind_s

    def advance(self, seconds: float) -> None:
        """Skip ahead, at most to the present."""
        self._behind_s = max(0.0, self._behind_s - seconds)


async def _play_hours(deployment: Deployment, clock: Clock) -> None:
    """Evict and warm one server after another at different hours, and pause one."""
    for name in ("public-03", "lab-02", "field-06", "public-11", "lab-12", "public-26", "field-01"):
        clock.advance(HOURS_S / 9)
        await deployment.evict(name)
        await deployment.wait_for_state(name, "warming")
        clock.advance(len(name) * 7)
        await deployment.wait_for_state(name, "loaded")
    await deployment.post("/api/servers/lab-07/pause")
    clock.advance(HOURS_S)
    now = datetime.now(UTC).isoformat()
    await deployment.wait_for_json("/api/status", lambda status: all(map(_checked_since(now), status["servers"])))


def _checked_since(moment: str) -> Callable[[Json], bool]:
    """Return a predicate: the server, if loaded, was checked after that moment (RFC 3339)."""
    return lambda server: server["state"] != "loaded" or server["last_check"] > moment


async def take_screenshot(
    browser: Browser, name: str, language: Language, path: str = "/status", **options: Any
) -> None:
    """Take one screenshot of the fleet."""
    locale = "zh-CN" if language == "zh" else "en-GB"
    with TemporaryDirectory() as folder:
        async with (
            busy_fleet(Path(folder), language) as deployment,
            visiting(browser, deployment.address, locale=locale, **options) as visit,
        ):
            await visit.open(path)
            if "#" in path:
                await expect(visit.page.get_by_role("dialog")).to_be_visible()
            await expect(visit.page.locator("svg.trend").first).to_be_attached()
            await visit.page.evaluate("document.fonts.ready")
            await _save(visit, name)


async def _save(visit: Visit, name: str) -> None:
    path = IMAGES / f"{name}.png"
    await visit.page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    print(f"{path.relative_to(REPOSITORY)}: {size / 1000:.0f} kB")
    assert size < LARGEST_BYTES, "too large for a README"


async def main() -> None:
    """Take all screenshots, each of a new fleet in its language."""
    phone: dict[str, Any] = {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
    IMAGES.mkdir(exist_ok=True)
    async with running_browser() as browser:
        await take_screenshot(browser, "status-en", "en", viewport=WIDE)
        await take_screenshot(browser, "status-zh", "zh", viewport=WIDE, color_scheme="dark")
        await take_screenshot(browser, "drawer", "en", "/status#server=public-04", viewport=WIDE)
        await take_screenshot(browser, "phone", "zh", **phone)


if __name__ == "__main__":
    asyncio.run(main())
