"""The pictures of the README: `python -m tests.browser.screenshots` writes docs/images/."""

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

from statemachine.core.messages import Language
from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PERSONAS
from tests.browser.fleets import (
    BROKEN,
    FOR_EVER_S,
    LOADED,
    LOADS_ITSELF,
    REPOSITORY,
    TIMING,
    Json,
    Places,
    World,
    settings_over,
    simulated,
)
from tests.browser.past import write_past
from tests.browser.visit import PHONE, Visit, running_browser, visiting

IMAGES = REPOSITORY / "docs" / "images"
LARGEST_BYTES = 300_000
WIDE = {"width": 1440, "height": 900}
MIXED = (
    LOADED, LOADED, LOADED, replace(PERSONAS["stalling"], stall_after_models=3), LOADED, LOADED, LOADED, LOADED,
    LOADS_ITSELF, LOADED, LOADED, LOADED, LOADED, replace(PERSONAS["stalling"], stall_after_models=1), LOADED,
    LOADED, LOADED, LOADED, BROKEN, LOADED, LOADED, PERSONAS["absent"], LOADED, PERSONAS["cold"],
)  # fmt: skip
"""Dealt out in turn; PERSONAS["cold"] gets a user's work, so that it waits."""
SOME_HOURS_S = 5_000.0
SHARES = {"public": 28, "lab": 20, "field": 12}
"""Group → how many servers."""
SETTLED = {"loaded", "warming", "auto_executing", "failed", "unreachable", "cold", "paused"}


@asynccontextmanager
async def lively(folder: Path, language: Language) -> AsyncIterator[World]:
    """Sixty servers with a week behind them, in most of the states."""
    personas = islice(cycle(MIXED), sum(SHARES.values()))
    names = [(f"{group}-{number:02}", group) for group, count in SHARES.items() for number in range(1, count + 1)]
    places: Places = {name: (group, persona) for (name, group), persona in zip(names, personas, strict=True)}
    clock = Clock()
    write_past(folder / "data", dict(names), clock(), language)
    async with simulated(places) as (fleet, servers):
        for server in servers.values():
            if server.persona.name == "cold":
                server.start_foreign_job(FOR_EVER_S)
        data = settings_over(
            fleet, places, listen={"port": 0}, language=language, timing={**TIMING, "check_interval_s": 1}
        )
        async with running_daemon(parse_settings(data, folder, {}), now=clock) as daemon:
            world = World(daemon.address, servers)
            await world.until_states(lambda states: "warming" in states and "checking" not in states)
            await _some_hours(world, clock)
            await world.until_states(lambda states: set(states) == SETTLED)
            yield world


class Clock:
    """The wall clock, behind the real one until `advance` has brought it there."""

    def __init__(self) -> None:
        self._behind_s = SOME_HOURS_S

    def __call__(self) -> float:
        return time.time() - self._behind_s

    def advance(self, seconds: float) -> None:
        """Let so much time go by at once."""
        self._behind_s = max(0.0, self._behind_s - seconds)


async def _some_hours(world: World, clock: Clock) -> None:
    """One server after another loses its models and is warmed within a minute or so, and one is paused."""
    for name in ("public-03", "lab-02", "field-06", "public-11", "lab-12", "public-26", "field-01"):
        clock.advance(SOME_HOURS_S / 9)
        await world.evict(name)
        await world.until(name, "warming")
        clock.advance(len(name) * 7)
        await world.until(name, "loaded")
    await world.post("/api/servers/lab-07/pause")
    clock.advance(SOME_HOURS_S)
    now = datetime.now(UTC).isoformat()
    await world.until_answer("/api/status", lambda status: all(map(_checked_since(now), status["servers"])))


def _checked_since(moment: str) -> Callable[[Json], bool]:
    """Whether a server, if it is loaded, has been checked since then (RFC 3339)."""
    return lambda server: server["state"] != "loaded" or server["last_check"] > moment


async def take(browser: Browser, name: str, language: Language, path: str = "/status", **options: Any) -> None:
    """One picture of the fleet."""
    locale = "zh-CN" if language == "zh" else "en-GB"
    with TemporaryDirectory() as folder:
        async with (
            lively(Path(folder), language) as world,
            visiting(browser, world.address, locale=locale, **options) as visit,
        ):
            await visit.go(path)
            if "#" in path:
                await expect(visit.page.get_by_role("dialog")).to_be_visible()
            await expect(visit.page.locator("svg.trend").first).to_be_attached()
            await visit.page.evaluate("document.fonts.ready")
            await _keep(visit, name)


async def _keep(visit: Visit, name: str) -> None:
    path = IMAGES / f"{name}.png"
    await visit.page.screenshot(path=path, animations="disabled")
    size = path.stat().st_size
    print(f"{path.relative_to(REPOSITORY)}: {size / 1000:.0f} kB")
    assert size < LARGEST_BYTES, "too large for a README"


async def main() -> None:
    """All of them; each over a fleet of its own, in its language."""
    phone: dict[str, Any] = {"viewport": PHONE, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
    IMAGES.mkdir(exist_ok=True)
    async with running_browser() as browser:
        await take(browser, "status-en", "en", viewport=WIDE)
        await take(browser, "status-zh", "zh", viewport=WIDE, color_scheme="dark")
        await take(browser, "drawer", "en", "/status#server=public-04", viewport=WIDE)
        await take(browser, "phone", "zh", **phone)


if __name__ == "__main__":
    asyncio.run(main())
