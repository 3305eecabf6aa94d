"""What an operator does at the page reaches the daemon, for one server and for a group."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import World, twelve
from tests.browser.visit import REFUSED, Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TOKEN = "let-me-in-please"
PUBLIC = [f"public-{number}" for number in range(1, 5)]


async def test_check_and_warm_one_server(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        world.servers["public-1"].drop_keys(keep_executor=False)
        world.servers["public-1"].stall()
        await visit.button("Check public-1").click()
        await expect(visit.row("public-1")).to_contain_text("Warming")
        await visit.button("Warm field-broken").click()
        await expect(visit.log().filter(has_text="Warm-up requested").filter(has_text="field-broken")).to_be_visible()


async def test_pause_and_resume_one_server(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        await visit.button("Pause lab-1").click()
        await expect(visit.row("lab-1")).to_contain_text("Paused")
        assert (await world.get("/api/servers/lab-1"))["state"] == "paused"
        await visit.button("Resume lab-1").click()
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await expect(visit.button("Pause lab-1")).to_be_visible()


async def test_from_the_drawer(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        await visit.link("lab-2").click()
        drawer = visit.drawer("lab-2")
        await drawer.get_by_role("button", name="Pause").click()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Paused")
        await drawer.get_by_role("button", name="Resume").click()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Loaded")


async def test_a_whole_group_is_paused_once_that_is_confirmed(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        await visit.button("Pause group public").click()
        dialog = visit.page.get_by_role("dialog", name="Pause group public?")
        await expect(dialog).to_contain_text("4")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        assert "paused" not in (await world.get("/api/status"))["states"]
        await visit.button("Pause group public").click()
        await dialog.get_by_role("button", name="Continue").click()
        await _all_say(visit, PUBLIC, "Paused")
        await expect(visit.button("Paused 4")).to_be_visible()
        await visit.button("Resume group public").click()
        await _all_say(visit, PUBLIC, "Loaded")


async def test_a_whole_group_is_checked_and_warmed(browser: Browser, world: World) -> None:
    async with visiting(browser, world.address) as visit:
        await visit.go()
        for name in PUBLIC:
            world.servers[name].drop_keys(keep_executor=False)
            world.servers[name].stall()
        await visit.button("Check group public").click()
        await _all_say(visit, PUBLIC, "Warming")
        for name in PUBLIC:
            world.servers[name].resume()
        await _all_say(visit, PUBLIC, "Loaded")
        await visit.button("Warm group field").click()
        await visit.page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        await expect(visit.log().filter(has_text="Warm-up requested").filter(has_text="field-broken")).to_be_visible()


async def test_the_token_is_asked_for_once(browser: Browser, tmp_path: Path) -> None:
    async with twelve(tmp_path, TOKEN) as world, visiting(browser, world.address, expected=REFUSED) as visit:
        await visit.go()
        await visit.button("Pause lab-1").click()
        dialog = visit.page.get_by_role("dialog", name="Token needed")
        await dialog.get_by_label("Token", exact=True).fill("wrong")
        await dialog.get_by_role("button", name="Continue").click()
        await expect(dialog.get_by_label("Token", exact=True)).to_have_value("")
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await dialog.get_by_label("Token", exact=True).fill(TOKEN)
        await dialog.get_by_label("Token", exact=True).press("Enter")
        await expect(visit.row("lab-1")).to_contain_text("Paused")
        await visit.page.reload()
        await visit.button("Resume lab-1").click()
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await expect(dialog).to_be_hidden()
        assert TOKEN not in await visit.page.content()


async def test_without_the_token_nothing_happens(browser: Browser, tmp_path: Path) -> None:
    async with twelve(tmp_path, TOKEN) as world, visiting(browser, world.address, expected=REFUSED) as visit:
        await visit.go()
        await visit.button("Pause group public").click()
        await visit.page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        dialog = visit.page.get_by_role("dialog", name="Token needed")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        assert "paused" not in (await world.get("/api/status"))["states"]


async def _all_say(visit: Visit, names: list[str], word: str) -> None:
    for name in names:
        await expect(visit.row(name)).to_contain_text(word)
