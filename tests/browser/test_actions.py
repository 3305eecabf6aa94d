"""Actions requested on the page reach the daemon, for one server and for a group."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.browser.fleets import Deployment, twelve
from tests.browser.visit import REFUSED_STATUS, UNAUTHORIZED, Visit, visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TOKEN = "let-me-in-please"
READERS = {"screen": {"token": "only-read-please", "may": "read"}}
REFUSED = {
    "wrong": re.compile("^Wrong token"),
    "错误 ✗": re.compile("^Wrong token"),
    "only-read-please": re.compile("^This token may only read"),
}
"""Token that may not act → what the page says about it."""
PUBLIC = [f"public-{number}" for number in range(1, 5)]


async def test_server_buttons_check_and_warm_reach_the_daemon(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        deployment.servers["public-1"].drop_keys(keep_executor=False)
        deployment.servers["public-1"].stall()
        await visit.button("Check public-1").click()
        await expect(visit.row("public-1")).to_contain_text("Warming")
        await visit.button("Warm field-broken").click()
        await expect(visit.log().filter(has_text="Warm-up requested").filter(has_text="field-broken")).to_be_visible()


async def test_server_buttons_pause_and_resume_change_the_state(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.pause("lab-1")
        await expect(visit.row("lab-1")).to_contain_text("Paused")
        assert (await deployment.get("/api/servers/lab-1"))["state"] == "paused"
        await visit.button("Resume lab-1").click()
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await expect(visit.button("Pause lab-1")).to_be_visible()


async def test_drawer_buttons_pause_and_resume_change_the_state(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.link("lab-2").click()
        drawer = visit.drawer("lab-2")
        await drawer.get_by_role("button", name="Pause").click()
        asked = visit.page.get_by_role("dialog", name="Pause lab-2")
        await asked.get_by_label("Ends").select_option("after 2 hours")
        await asked.get_by_label("Note").fill("driver update")
        await asked.get_by_role("button", name="Pause").click()
        await expect(drawer.locator("#drawer-now")).to_contain_text("driver update")
        await expect(drawer.locator("#drawer-now .waits-for")).to_contain_text("paused, resumes in 1")
        assert (await deployment.get("/api/servers/lab-2"))["pause"]["note"] == "driver update"
        await expect(drawer.locator("#drawer-state")).to_contain_text("Paused")
        await drawer.get_by_role("button", name="Resume").click()
        await expect(drawer.locator("#drawer-state")).to_contain_text("Loaded")


async def test_group_pause_waits_for_confirmation(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        await visit.button("Pause group public").click()
        dialog = visit.page.get_by_role("dialog", name="Pause group public?")
        await expect(dialog).to_contain_text("4")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        assert "paused" not in (await deployment.get("/api/status"))["states"]
        await visit.pause("group public")
        await _expect_all(visit, PUBLIC, "Paused")
        await expect(visit.button("Paused 4")).to_be_visible()
        await visit.button("Resume group public").click()
        await _expect_all(visit, PUBLIC, "Loaded")


async def test_group_buttons_check_and_warm_reach_all_its_servers(browser: Browser, deployment: Deployment) -> None:
    async with visiting(browser, deployment.address) as visit:
        await visit.open()
        for name in PUBLIC:
            deployment.servers[name].drop_keys(keep_executor=False)
            deployment.servers[name].stall()
        await visit.button("Check group public").click()
        await _expect_all(visit, PUBLIC, "Warming")
        for name in PUBLIC:
            deployment.servers[name].resume()
        await _expect_all(visit, PUBLIC, "Loaded")
        await visit.button("Warm group field").click()
        await visit.page.get_by_role("dialog").get_by_role("button", name="Continue").click()
        await expect(visit.log().filter(has_text="Warm-up requested").filter(has_text="field-broken")).to_be_visible()


async def test_token_once_accepted_is_kept_for_the_tab(browser: Browser, tmp_path: Path) -> None:
    async with (
        twelve(tmp_path, TOKEN, READERS) as deployment,
        visiting(browser, deployment.address, expected=REFUSED_STATUS) as visit,
    ):
        await visit.open()
        await visit.pause("lab-1")
        dialog = visit.page.get_by_role("dialog", name="Token needed")
        await expect(dialog).to_contain_text("asks for a token")
        for token, refusal in REFUSED.items():
            await dialog.get_by_label("Token", exact=True).fill(token)
            await dialog.get_by_role("button", name="Continue").click()
            await expect(dialog.get_by_label("Token", exact=True)).to_have_value("")
            await expect(dialog.get_by_label("Token", exact=True)).to_have_accessible_description(refusal)
            await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await dialog.get_by_label("Token", exact=True).fill(TOKEN)
        await dialog.get_by_label("Token", exact=True).press("Enter")
        await expect(visit.row("lab-1")).to_contain_text("Paused")
        await visit.page.reload()
        await visit.button("Resume lab-1").click()
        await expect(visit.row("lab-1")).to_contain_text("Loaded")
        await expect(dialog).to_be_hidden()
        assert TOKEN not in await visit.page.content()


async def test_token_dialog_cancelled_changes_nothing(browser: Browser, tmp_path: Path) -> None:
    async with (
        twelve(tmp_path, TOKEN) as deployment,
        visiting(browser, deployment.address, expected=UNAUTHORIZED) as visit,
    ):
        await visit.open()
        await visit.pause("group public")
        dialog = visit.page.get_by_role("dialog", name="Token needed")
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        assert "paused" not in (await deployment.get("/api/status"))["states"]


async def _expect_all(visit: Visit, names: list[str], text: str) -> None:
    for name in names:
        await expect(visit.row(name)).to_contain_text(text)
