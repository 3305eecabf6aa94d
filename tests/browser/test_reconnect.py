"""The daemon goes away and comes back: that is shown, it heals by itself, and nothing is missed."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import World, restartable
from tests.browser.visit import AWAY, Visit, visiting
from tests.kill.process import DaemonProcess

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

BACK_MS = 30_000
COLLECT = """
window.idsSeen = new Set();
window.wrongOrders = [];
new MutationObserver(() => {
  const ids = [...document.querySelectorAll('#log [data-id]')].map((entry) => Number(entry.dataset.id));
  ids.forEach((id) => window.idsSeen.add(id));
  if (ids.some((id, place) => place > 0 && id !== ids[place - 1] - 1)) window.wrongOrders.push(ids);
}).observe(document, { childList: true, subtree: true, attributes: true });
"""
"""Runs in the page before its own scripts: which entries the log showed at any time (it draws only what is visible),
and every time when two neighbours were not successive numbers."""
SCROLLS = 40


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
async def test_nothing_is_missed_over_a_restart(browser: Browser, tmp_path: Path, ending: str) -> None:
    async with restartable(tmp_path) as (world, daemon), visiting(browser, world.address, expected=AWAY) as visit:
        await visit.page.add_init_script(COLLECT)
        await visit.go("/status#server=two")
        await _some_life(world)
        await world.evict("one")  # its warm-up is under way when the daemon ends
        await (daemon.end() if ending == "SIGTERM" else _killed(daemon))
        await expect(visit.page.get_by_role("alert")).to_contain_text("Connection lost")
        await world.servers["three"].go_down()
        await daemon.start()
        await daemon.until_answering()
        at_start = (await world.get("/api/log?limit=1"))["entries"][0]["id"]
        await _some_life(world)
        await expect(visit.page.get_by_role("status").filter(has_text="Live")).to_be_visible(timeout=BACK_MS)
        await expect(visit.page.get_by_role("alert")).to_be_hidden()
        await expect(visit.row("three")).to_contain_text("Unreachable")
        await _some_life(world)
        await _drawer_is_whole(visit, world, "two")
        newest = await _newest(world)
        assert newest > at_start
        await _seen_without_gap(visit, newest)


async def test_a_page_opened_before_the_daemon_left_is_true_again(browser: Browser, tmp_path: Path) -> None:
    """Several short disconnect_count one after another: each heals, and the table is that of the API."""
    async with restartable(tmp_path) as (world, daemon), visiting(browser, world.address, expected=AWAY) as visit:
        await visit.go()
        for name in ("one", "two"):
            await _killed(daemon)
            await expect(visit.page.get_by_role("alert")).to_be_visible()
            await daemon.start()
            await daemon.until_answering()
            await world.until(name, "loaded")
            await world.post(f"/api/servers/{name}/pause")
            await expect(visit.row(name)).to_contain_text("Paused", timeout=BACK_MS)
        await expect(visit.button("Paused 2")).to_be_visible()
        await expect(visit.button("Loaded 1")).to_be_visible()


async def _drawer_is_whole(visit: Visit, world: World, server: str) -> None:
    """The open drawer has every transition that the API tells of; it is closed then."""
    transitions = (await world.get(f"/api/servers/{server}"))["transitions"]
    evidence = visit.drawer(server).get_by_role("region", name="Evidence").get_by_role("listitem")
    await expect(evidence).to_have_count(len(transitions))
    await visit.button("Close").click()


async def _some_life(world: World) -> None:
    """Entries for the log: one server goes through paused to loaded."""
    await world.post("/api/servers/two/pause")
    await world.until("two", "paused")
    await world.post("/api/servers/two/resume")
    await world.until("two", "loaded")


async def _killed(daemon: DaemonProcess) -> None:
    daemon.strike()
    await daemon.gone()


async def _newest(world: World) -> int:
    """The journal's last number."""
    return int((await world.get("/api/log?limit=1"))["entries"][0]["id"])


async def _seen_without_gap(visit: Visit, newest: int) -> None:
    """The page has shown every number from the journal's first to `newest`, each between its neighbours."""
    await expect(visit.page.locator(f"#log [data-id='{newest}']")).to_be_visible()
    await visit.log().first.hover()
    for _ in range(SCROLLS):
        if len(await _ids_seen(visit, newest)) == newest:
            break
        await visit.page.mouse.wheel(0, 200)
        await visit.page.evaluate(
            "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
        )
    assert await _ids_seen(visit, newest) == list(range(1, newest + 1))
    assert await visit.page.evaluate("window.wrongOrders") == []


async def _ids_seen(visit: Visit, newest: int) -> list[int]:
    """Those up to `newest`, in order: later ones may have come meanwhile."""
    return sorted(number for number in await visit.page.evaluate("[...window.idsSeen]") if number <= newest)
