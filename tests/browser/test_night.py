"""A night: a host of four servers dies, an alert comes, and an operator silences it from a phone, in both languages.

The screenshots of each step are in the test's folder, or in the folder that NIGHT_SCREENSHOTS names.
"""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, expect

from statemachine.daemon.app import Daemon, running_daemon
from statemachine.daemon.config import load_config
from statemachine.settings import parse_settings
from statemachine.simulator import SimFleet, running_fleet
from tests.alerts.listeners import Listener, listening
from tests.browser.fleets import LOADED, SCALE, TIMING, Deployment, Json
from tests.browser.visit import UNAUTHORIZED, Visit, visiting
from tests.support.paths import WORKFLOWS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOSTS = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
DEAD = HOSTS[1]
TOKEN = "the-token-of-the-night-shift"
NOTE = "PSU swapped, ticket 4711"
SHOTS = os.environ.get("NIGHT_SCREENSHOTS")
RELATIVE_TIMES_MS = 1_100
"""How often the page writes how long ago something was."""

PHONE = {"width": 390, "height": 844}
HOUR_S = 3_600.0


@dataclass
class Clock:
    """The daemon's wall clock, which the test moves. It begins at ten past two in Berlin."""

    at: float = datetime(2026, 11, 29, 1, 10, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.at

    def pass_(self, seconds: float) -> None:
        self.at += seconds


@dataclass
class Night:
    """The fleet, its daemon, what it sends, and the readers' folder of screenshots."""

    fleet: SimFleet
    daemon: Daemon
    hook: Listener
    clock: Clock
    folder: Path
    steps: list[str] = field(default_factory=list)

    @property
    def deployment(self) -> Deployment:
        return Deployment(self.daemon.address, {}, TOKEN)

    @property
    def servers_of_dead_host(self) -> list[Any]:
        return [member.server for member in self.fleet.members if member.host == DEAD]

    @property
    def names(self) -> list[str]:
        return [member.name for member in self.fleet.members if member.host == DEAD]

    async def picture(self, step: str, *visits: Visit) -> None:
        """Take a screenshot of what each reader sees, at the time of the daemon's clock."""
        self.steps.append(step)
        for visit in visits:
            await visit.page.clock.set_fixed_time(datetime.fromtimestamp(self.clock.at + 3.0, UTC))
            await visit.page.wait_for_timeout(RELATIVE_TIMES_MS if SHOTS else 0)
            language = await visit.page.locator("html").get_attribute("lang")
            await visit.page.screenshot(path=self.folder / f"{len(self.steps)}-{step}-{language}.png")

    async def log(self) -> list[Json]:
        """Return the log of the dead host's group, oldest first."""
        log: Json = await self.deployment.get("/api/log?group=studio-2&limit=1000")
        return list(reversed(log["entries"]))


def settings(fleet: SimFleet, hook: Listener, **listen: Any) -> Json:
    groups = dict(zip(HOSTS, ("studio-1", "studio-2", "studio-3"), strict=True))
    return {
        "listen": {"port": 0, "tokens": {"night-shift": TOKEN}, **listen},
        "servers": [{"url": member.url, "group": groups[member.host]} for member in fleet.members],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "logging": {"file": None, "level": "WARNING"},
        "alerts": {
            "gather_s": 0.5,
            "rules": [{"name": "down", "states": ["unreachable", "failed"], "for_s": 0.2, "to": ["hook"]}],
            "channels": {"hook": {"webhook": f"{hook.url}/night", "secret": "a secret of sixteen"}},
        },
    }


@asynccontextmanager
async def night(folder: Path) -> AsyncIterator[Night]:
    """Run twelve servers on three hosts, all loaded."""
    clock = Clock()
    async with running_fleet([LOADED] * 12, scale=SCALE, hosts=HOSTS) as fleet, listening() as hook:
        parsed = parse_settings(settings(fleet, hook), folder, {})
        async with running_daemon(parsed, now=clock) as daemon:
            address = parse_settings(settings(fleet, hook, public_url=daemon.address), folder, {})
            await daemon.apply(load_config(address))
            here = Night(fleet, daemon, hook, clock, Path(SHOTS or folder))
            await here.deployment.wait_for_counts({"loaded": 12})
            yield here


@asynccontextmanager
async def phone(browser: Browser, here: Night, locale: str) -> AsyncIterator[Visit]:
    options = {
        "viewport": PHONE,
        "has_touch": True,
        "is_mobile": True,
        "device_scale_factor": 2,
        "timezone_id": "Europe/Berlin",
        "color_scheme": "dark",
    }
    async with visiting(browser, here.daemon.address, locale=locale, expected=UNAUTHORIZED, **options) as visit:
        await visit.page.clock.set_fixed_time(datetime.fromtimestamp(here.clock.at, UTC))
        yield visit


async def follow(link: str, *visits: Visit) -> None:
    """Open the link of an alert."""
    for visit in visits:
        assert link.startswith(f"{visit.address}/status?")
        await visit.open(link.removeprefix(visit.address))


async def later(here: Night, seconds: float, *visits: Visit) -> None:
    here.clock.pass_(seconds)
    for visit in visits:
        await visit.page.clock.set_fixed_time(datetime.fromtimestamp(here.clock.at, UTC))


async def test_night_from_alert_to_recovery_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    async with (
        night(tmp_path) as here,
        phone(browser, here, "en-GB") as visit,
        phone(browser, here, "zh-CN") as chinese,
    ):
        for server in here.servers_of_dead_host:
            await server.go_down()
        alert = (await here.hook.until(1))[0].data
        assert (alert["kind"], alert["count"], alert["reason"]) == ("firing", 4, "not_answering")
        await later(here, 60.0, visit, chinese)
        await follow(str(alert["link"]), visit, chinese)
        await sees_the_host(here, visit, chinese)
        await sees_the_reason(here, visit, chinese)
        await pauses_the_host(here, visit, chinese)
        await sees_the_host_return(here, visit, chinese)
        await sees_the_pause_end(here, visit, chinese)
        assert len(here.hook.requests) == 1
        await every_step_names_who_made_it(here)


async def sees_the_host(here: Night, *visits: Visit) -> None:
    """The link shows the four servers, and what is wrong with them."""
    for visit in visits:
        await expect(visit.page.locator("#shown")).to_contain_text("12")
        assert set(await visit.servers().all_inner_texts()) <= set(here.names)
        await expect(visit.page).to_have_title(re.compile(r"^\(4\) comfywarm"))
    await here.picture("alert-opened", *visits)


async def sees_the_reason(here: Night, *visits: Visit) -> None:
    for visit, reason in zip(visits, ("connection refused", "连接被拒绝"), strict=True):
        await visit.servers().first.click()
        await expect(visit.page.locator("#drawer-now")).to_contain_text(reason)
    await here.picture("reason", *visits)
    for visit in visits:
        await visit.page.keyboard.press("Escape")


def pause_dialog(visit: Visit) -> Locator:
    return visit.page.locator("#pause-dialog")


async def pauses_the_host(here: Night, visit: Visit, chinese: Visit) -> None:
    """Both readers see the dialog, but only the first one accepts it."""
    for one in (visit, chinese):
        await one.page.locator("button.act[data-action=pause][data-group=studio-2]").click()
        await one.page.locator("#pause-for").select_option("2h")
        await one.page.locator("#pause-note").fill(NOTE)
    await here.picture("pause-asked", visit, chinese)
    await pause_dialog(chinese).get_by_role("button", name="取消").click()
    await pause_dialog(visit).get_by_role("button", name="Pause").click()
    await visit.page.locator("#token").fill(TOKEN)
    await here.picture("token-asked", visit)
    await visit.page.locator("#token-dialog").get_by_role("button", name="Continue").click()
    await here.deployment.wait_for_counts({"loaded": 8, "paused": 4})
    for one, until in ((visit, "paused until 04:11"), (chinese, "04:11")):
        await expect(one.page.locator("#alerts li.silence")).to_have_count(1)
        await expect(one.page.locator("#alerts")).to_contain_text(until)
        await expect(one.page.locator("#alerts")).to_contain_text(NOTE)
    await here.picture("paused", visit, chinese)


async def sees_the_host_return(here: Night, *visits: Visit) -> None:
    """The servers answer again after 40 minutes, and stay paused."""
    await later(here, 40 * 60.0, *visits)
    for server in here.servers_of_dead_host:
        await server.come_back()
    for name in here.names:
        await here.deployment.wait_for_json(f"/api/servers/{name}", lambda one: one["link"]["connected"])
    assert (await here.deployment.get("/api/status"))["states"] == {"loaded": 8, "paused": 4}
    await here.picture("host-returned", *visits)


async def sees_the_pause_end(here: Night, *visits: Visit) -> None:
    """Two hours after it began the pause ends. A prompt of a user makes the daemon look at its clock at once."""
    await later(here, 1.5 * HOUR_S, *visits)
    for server in here.servers_of_dead_host:
        server.start_foreign_job(0.2)
    await here.deployment.wait_for_counts({"loaded": 12})
    for visit, word in zip(visits, ("Loaded", "已加载"), strict=True):
        await expect(visit.table()).to_contain_text(word)
        await expect(visit.page.locator("#alerts")).to_be_hidden()
    await here.picture("pause-ended", *visits)
    for visit, view in zip(visits, ("Event log", "事件日志"), strict=True):
        await visit.page.get_by_role("navigation").get_by_text(view).click()
    await here.picture("log", *visits)


async def every_step_names_who_made_it(here: Night) -> None:
    log = [entry for entry in await here.log() if entry["server"] == here.names[0]]
    steps = [(entry["to"], entry["reason"], entry["proved_by"], entry["by"]) for entry in log]
    assert [step for step in steps if step[0] in {"unreachable", "paused"} or step[1] == "pause_ended"] == [
        ("unreachable", "not_answering", "probe", None),
        ("paused", "pause_requested", "operator", "night-shift"),
        ("unknown", "pause_ended", "daemon", None),
    ]
    paused = next(entry for entry in log if entry["to"] == "paused")
    assert paused["message"].endswith(f"{NOTE} (by night-shift)")
    assert steps[-1][0] == "loaded"
