"""The daemon stops and comes back: the page shows it, reconnects by itself, and misses nothing."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from campaigns.kill.process import DaemonProcess
from tests.browser.fleets import Deployment, restartable, twelve
from tests.browser.visit import DISCONNECTED, Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

BACK_MS = 30_000
COLLECT = """
window.idsSeen = new Set();
window.wrongOrders = [];
new MutationObserver(() => {
  const ids = [...document.querySelectorAll('#log [data-id]')].map((entry) => Number(entry.dataset.id));
  ids.forEach((id) => window.idsSeen.add(id));
  if (ids.some((id, index) => index > 0 && id !== ids[index - 1] - 1)) window.wrongOrders.push(ids);
}).observe(document, { childList: true, subtree: true, attributes: true });
"""
"""Runs before the page's scripts. Records the ids of all entries that the log has rendered, and every rendering with a
gap between two ids."""
SCROLLS = 40


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGKILL"])
async def test_daemon_restart_loses_no_log_entry(browser: Browser, tmp_path: Path, ending: str) -> None:
    async with (
        restartable(tmp_path) as (deployment, daemon),
        visiting(browser, deployment.address, expected=DISCONNECTED) as visit,
    ):
        await visit.page.add_init_script(COLLECT)
        await visit.open("/status#server=two")
        await _pause_and_resume(deployment)
        await deployment.evict("one")  # its warm-up is in flight when the daemon ends
        await (daemon.end() if ending == "SIGTERM" else _kill(daemon))
        await expect(visit.page.get_by_role("alert")).to_contain_text("Connection lost")
        await deployment.servers["three"].go_down()
        await daemon.start()
        await daemon.until_answering()
        at_start = (await deployment.get("/api/log?limit=1"))["entries"][0]["id"]
        await _pause_and_resume(deployment)
        await expect(visit.page.get_by_role("status").filter(has_text="Live")).to_be_visible(timeout=BACK_MS)
        await expect(visit.page.get_by_role("alert")).to_be_hidden()
        await expect(visit.row("three")).to_contain_text("Unreachable")
        await _pause_and_resume(deployment)
        await _expect_whole_drawer(visit, deployment, "two")
        newest = await _newest_id(deployment)
        assert newest > at_start
        await _expect_ids_without_gap(visit, newest)


async def test_page_after_each_daemon_crash_matches_the_api(browser: Browser, tmp_path: Path) -> None:
    """After each of several crashes, the table matches the API."""
    async with (
        restartable(tmp_path) as (deployment, daemon),
        visiting(browser, deployment.address, expected=DISCONNECTED) as visit,
    ):
        await visit.open()
        for name in ("one", "two"):
            await _kill(daemon)
            await expect(visit.page.get_by_role("alert")).to_be_visible()
            await daemon.start()
            await daemon.until_answering()
            await deployment.wait_for_state(name, "loaded")
            await deployment.post(f"/api/servers/{name}/pause")
            await expect(visit.row(name)).to_contain_text("Paused", timeout=BACK_MS)
        await expect(visit.button("Paused 2")).to_be_visible()
        await expect(visit.button("Loaded 1")).to_be_visible()


async def _expect_whole_drawer(visit: Visit, deployment: Deployment, server: str) -> None:
    """Expect every transition of the API in the open drawer, then close it."""
    transitions = (await deployment.get(f"/api/servers/{server}"))["transitions"]
    transition_items = visit.drawer(server).get_by_role("region", name="Transitions").get_by_role("listitem")
    await expect(transition_items).to_have_count(len(transitions))
    await visit.button("Close").click()


async def _pause_and_resume(deployment: Deployment) -> None:
    """Write entries to the log: pause a server, then resume it until it is loaded."""
    await deployment.post("/api/servers/two/pause")
    await deployment.wait_for_state("two", "paused")
    await deployment.post("/api/servers/two/resume")
    await deployment.wait_for_state("two", "loaded")


async def _kill(daemon: DaemonProcess) -> None:
    daemon.kill()
    await daemon.wait_ended()


async def _newest_id(deployment: Deployment) -> int:
    """Return the id of the newest entry."""
    return int((await deployment.get("/api/log?limit=1"))["entries"][0]["id"])


async def _expect_ids_without_gap(visit: Visit, newest: int) -> None:
    """Expect that the page has shown every id from 1 to `newest`, each next to its neighbours."""
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
    """Return the ids up to `newest`, in order; later ones may have arrived meanwhile."""
    return sorted(number for number in await visit.page.evaluate("[...window.idsSeen]") if number <= newest)


async def test_page_without_a_readable_journal_shows_the_fleet_live(browser: Browser, tmp_path: Path) -> None:
    async with (
        twelve(tmp_path) as deployment,
        visiting(browser, deployment.address, expected="503") as before,
        visiting(browser, deployment.address, expected="503") as visit,
    ):
        await before.open()
        for file in (tmp_path / "data").glob("journal.sqlite3*"):
            file.write_bytes(b"not a database" * 1000)
        await deployment.wait_for_json("/healthz", lambda health: health["journal"] is False)
        await visit.open()
        await before.page.evaluate("window.dispatchEvent(new Event('online'))")  # the stream is opened again
        for one in (visit, before):
            await expect(one.page.get_by_role("status").filter(has_text="Live")).to_be_visible(timeout=BACK_MS)
            await deployment.servers["public-1"].go_down()
            await expect(one.row("public-1")).to_contain_text("Unreachable", timeout=BACK_MS)
        await visit.link("lab-busy").click()
        await expect(visit.drawer("lab-busy").get_by_role("region", name="Now")).to_contain_text("Keys missing")
