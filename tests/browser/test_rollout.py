"""The section on the rolling restart: how far it is, why, and its buttons, which ask."""

from collections.abc import Sequence
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.fleets import Deployment
from tests.browser.visit import visiting

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AT = "2026-01-01T00:00:00.000Z"
COUNTS = {"waiting": 1, "restarting": 1, "done": 1, "failed": 1, "skipped": 1}


def member(server: str, stage: str, reason: str | None = None, state: str | None = "loaded") -> dict[str, Any]:
    return {"server": server, "stage": stage, "since": AT, "reason": reason, "state": state}


RUN: dict[str, Any] = {
    "id": "run-1",
    "group": "public",
    "state": "running",
    "reason": None,
    "by": "ann",
    "changed_by": None,
    "started_at": AT,
    "ended_at": None,
    "max_unavailable": 2,
    "abort_after": 3,
    "failures_in_a_row": 1,
    "left": 0,
    "counts": COUNTS,
    "servers": [
        member("public-1", "done"),
        member("public-2", "restarting", state="draining"),
        member("public-3", "failed", "not_answering", "failed"),
        member("public-4", "waiting", "limit_reached"),
        member("public-gone", "skipped", "server_removed", None),
    ],
}


AFTER = {"pause": "paused", "resume": "running", "cancel": "cancelled"}


class FakeRun:
    """The answers of /api/rollout. An action changes the state, as a daemon does."""

    def __init__(self, run: dict[str, Any] | None, groups: Sequence[str] = ()) -> None:
        self.run = run
        self.groups = groups
        self.started: list[tuple[str, Any]] = []
        self.actions: list[str] = []

    async def install(self, page: Page) -> None:
        await page.route("**/api/rollout?*", lambda route: route.fulfill(json=self._latest()))
        await page.route("**/api/rollout/*", self._act)

        await page.route("**/api/groups/*/restart", self._start)

    def _latest(self) -> dict[str, Any]:
        return {"rollout": self.run, "groups": list(self.groups)}

    async def _start(self, route: Route) -> None:
        """Start the run, or refuse it while one goes on."""
        group = route.request.url.split("/")[-2]
        self.started.append((group, route.request.post_data_json))
        if self.run is not None:
            error = {"code": "rollout_open", "message": "a rolling restart has not ended"}
            await route.fulfill(status=409, json={"error": error})
        else:
            self.run = {**RUN, "group": group}
            await route.fulfill(status=202, json={"rollout": self.run})

    async def _act(self, route: Route) -> None:
        action = route.request.url.rsplit("/", 1)[-1]
        assert route.request.post_data_json == {"run": "run-1"}
        self.actions.append(action)
        self.run = {**(self.run or {}), "state": AFTER[action]}
        await route.fulfill(status=202, json={"rollout": self.run})


async def test_section_is_hidden_before_the_first_run(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await visit.open()
        await expect(visit.page.locator("#rollout")).to_be_hidden()


async def test_run_shows_who_asked_and_where_each_server_is(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        await FakeRun(RUN).install(visit.page)
        await visit.open()
        section = visit.page.get_by_role("region", name="Rolling restart")
        await expect(section).to_contain_text("group public: running, 3 of 5 servers finished")
        await expect(section).to_contain_text("at most 2 not warm at a time; aborted after failures in a row: 3")
        await expect(section).to_contain_text("requested by ann")
        items = section.get_by_role("listitem")
        await expect(items).to_have_count(5)
        await expect(items.nth(0)).to_contain_text("public-2")
        await expect(items.nth(0)).to_contain_text("Draining")
        await expect(items.nth(1)).to_contain_text("Not answering")
        await expect(items.nth(2)).to_contain_text("as many servers of the group as allowed are not warm")
        await expect(section.get_by_role("link", name="public-gone")).to_have_count(0)
        await section.get_by_role("link", name="public-4").click()
        await expect(visit.drawer("public-4")).to_be_visible()


async def test_buttons_ask_and_then_act(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        fake = FakeRun(RUN, ["public"])
        await fake.install(visit.page)
        await visit.open()
        section = visit.page.get_by_role("region", name="Rolling restart")
        dialog = visit.page.locator("#confirm-dialog")
        await section.get_by_role("button", name="Pause").click()
        await dialog.get_by_role("button", name="Cancel").click()
        assert fake.actions == []
        for button, state in (("Pause", "paused"), ("Resume", "running"), ("Cancel restart", "cancelled")):
            await section.get_by_role("button", name=button).click()
            await expect(dialog).to_contain_text("rolling restart of group public")
            await dialog.get_by_role("button", name="Continue").click()
            await expect(section).to_contain_text(f"group public: {state}")
        assert fake.actions == ["pause", "resume", "cancel"]
        await expect(section.get_by_role("button", name="Cancel restart")).to_be_hidden()
        await expect(section).to_contain_text("These restarts go on to their end: public-2.")
        await expect(section.get_by_role("button", name="Start…")).to_be_hidden()


async def test_aborted_run_that_leaves_servers_can_be_resumed(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address) as visit:
        fake = FakeRun(
            {**RUN, "state": "aborted", "reason": "failures_in_a_row", "ended_at": AT, "left": 3}, ["public"]
        )
        await fake.install(visit.page)
        await visit.open()
        section = visit.page.get_by_role("region", name="Rolling restart")
        await expect(section).to_contain_text("Servers that were not restarted: 3. Resume restarts them.")
        await expect(section.get_by_role("button", name="Start…")).to_be_visible()
        await section.get_by_role("button", name="Resume").click()
        await visit.page.locator("#confirm-dialog").get_by_role("button", name="Continue").click()
        await expect(section).to_contain_text("group public: running")
        assert fake.actions == ["resume"]


async def test_aborted_run_says_why_and_can_be_hidden(browser: Browser, shared: Deployment) -> None:
    async with visiting(browser, shared.address, locale="zh-CN") as visit:
        run = {**RUN, "state": "aborted", "reason": "failures_in_a_row", "ended_at": AT, "changed_by": "bob"}
        await FakeRun(run).install(visit.page)
        await visit.open()
        section = visit.page.get_by_role("region", name="滚动重启")
        await expect(section).to_contain_text("连续失败的重启过多")
        await expect(section).to_contain_text("最后操作者 bob")
        await section.get_by_role("button", name="隐藏").click()
        await expect(section).to_be_hidden()
        await visit.page.reload()
        await expect(visit.page.locator("html[data-ready]")).to_be_attached()
        await expect(visit.page.locator("#rollout")).to_be_hidden()
