"""Where prompts went and why: kept, reported to the daemon, and counted."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from typing_extensions import override

from statemachine.client.access import daemon_api
from statemachine.gateway.decisions import BATCH, KEPT, Decisions, Reporting
from statemachine.gateway.json_text import dumps
from statemachine.gateway.process import running_gateway
from statemachine.i18n.render import MessageError
from statemachine.routing.decision import Explanation, Prospect, RunnerUp, Why
from statemachine.settings import parse_settings
from statemachine.settings.masking import Mask
from statemachine.web.decision_reports import parse_report
from tests.gateway.rig import OK, FakeDaemon, Site, image_graph, running_servers, running_site
from tests.support.daemon import daemon_in_process
from tests.support.paths import DOCS
from tests.support.polling import wait_for, wait_until
from tests.web.metrics_page import Row, documented
from tests.web.test_metrics import Key, key

WARM = Explanation("a", Why.WARM, False, 0.0, (), (RunnerUp("b", Prospect.LOADS_IDLE, 20.0),))
SOON_S = 0.01
TWO = 2


def decisions(now: Callable[[], float] = lambda: 0.0) -> Decisions:
    return Decisions(Mask([SecretStr("very-secret-token")]), now)


def noted(count: int) -> Decisions:
    found = decisions()
    for _ in range(count):
        found.note(WARM)
    return found


def test_report_is_what_the_daemon_accepts() -> None:
    clock = [10.0]
    kept = decisions(lambda: clock[0])
    kept.note(Explanation("a", Why.DISPLACES, True, 20.0, ("flux.safetensors",), WARM.others))
    clock[0] += 5.0
    report = parse_report(dumps(kept.report(0)))
    assert (report.oldest, report.first, report.decisions[0].age_s) == (0, 0, 5.0)
    assert report.decisions[0].explanation(lambda _: True).others == WARM.others


def test_report_has_a_bounded_number_of_decisions() -> None:
    kept = noted(BATCH + 5)
    assert [len(kept.report(first)["decisions"]) for first in (0, BATCH, BATCH + 5)] == [BATCH, 5, 0]
    assert [kept.is_behind(number) for number in (0, BATCH + 4, BATCH + 5)] == [True, True, False]


def test_oldest_decisions_make_room() -> None:
    report = noted(KEPT + 3).report(0)
    assert (report["oldest"], report["first"], len(report["decisions"])) == (3, 3, BATCH)


def test_report_hides_secrets_of_the_settings() -> None:
    kept = decisions()
    kept.note(Explanation("a", Why.LOADS, True, 20.0, ("very-secret-token.safetensors",)))
    assert "very-secret-token" not in str(kept.report(0))


class CountingDaemon(FakeDaemon):
    """A daemon that counts decisions and can be restarted or away."""

    def __init__(self) -> None:
        super().__init__({})
        self.counted = 0
        self.is_away = False

    @override
    async def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.is_away:
            raise MessageError("no daemon")
        if body["first"] == self.counted:
            self.counted += len(body["decisions"])
        return {"next": self.counted}


async def test_reporting_sends_everything_again_to_a_restarted_daemon() -> None:
    daemon, kept = CountingDaemon(), noted(2 * BATCH + 1)
    task = asyncio.create_task(Reporting(lambda: daemon, kept, SOON_S).run())
    await wait_until(lambda: daemon.counted == 2 * BATCH + 1)
    daemon.is_away = True
    kept.note(WARM)
    daemon.counted, daemon.is_away = 0, False
    await wait_until(lambda: daemon.counted == 2 * BATCH + 2)
    task.cancel()


@pytest.mark.parametrize("answer", [{}, {"next": "1"}, {"next": -1}, {"next": None}])
async def test_reporting_survives_an_answer_of_another_program(answer: dict[str, Any]) -> None:
    sent: list[object] = []

    class Other(FakeDaemon):
        @override
        async def send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
            sent.append(body)
            return answer

    task = asyncio.create_task(Reporting(lambda: Other({}), noted(1), SOON_S).run())
    await wait_until(lambda: len(sent) >= TWO)
    assert not task.done()
    task.cancel()


async def test_prompts_through_the_gateway_are_on_the_daemons_page(tmp_path: Path) -> None:
    async with running_servers(2) as (_, names):
        data = {"servers": [f"http://{name}" for name in names], "gateway": {"port": 0}, "listen": {"port": 0}}
        async with daemon_in_process(tmp_path, data) as daemon:
            data["listen"] = {"port": int(daemon.address.rpartition(":")[2])}
            settings = parse_settings(data, tmp_path, {})
            assert settings.gateway is not None
            async with running_gateway(settings, settings.gateway, lambda: daemon_api(settings)) as gateway:
                candidates = list(gateway.view)
                await wait_until(lambda: all(one.state == "loaded" and one.is_counted for one in candidates))
                await daemon.wait_for("/api/decisions", lambda found: found["gateways"] == 1)
                for _ in range(TWO):
                    await post(gateway.address)
                found = await daemon.wait_for("/api/decisions", lambda found: found["fleet"]["requests"] == TWO)
    assert {one["source"] for one in found["newest"]} == {"gateway"}
    assert found["fleet"]["reasons"] == {"shortest_wait": TWO}
    assert {one["server"] for one in found["servers"]} <= set(names)


async def post(address: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/prompt", json={"prompt": image_graph()}) as response,
    ):
        assert response.status == OK


async def test_prompt_that_goes_to_another_server_says_so(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        first, second = (site.servers[site.names.index(one.name)] for one in site.gateway.view.choose({}).servers)
        await first.go_down()
        await site.post(image_graph())
        (reported,) = await wait_for(lambda: all_reported(site))
    assert (reported["reason"], reported["server"]) == ("passed_on", site.names[site.servers.index(second)])
    assert [one["server"] for one in reported["others"]] == [site.names[site.servers.index(first)]]


async def all_reported(site: Site) -> list[dict[str, Any]]:
    return [one for report in site.daemon.reports for one in report["decisions"]]


async def test_refused_prompt_is_not_counted(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert (await site.try_post({"1": {"class_type": "NoSuchNode", "inputs": {}}}))[0] == 400
        values = await scrape(site)
    assert values[key("comfywarm_gateway_prompts_total", reason="shortest_wait")] == 0


async def test_metrics_count_prompts_ends_waits_and_limits(tmp_path: Path) -> None:
    ended = key("comfywarm_gateway_prompts_ended_total", outcome="succeeded")
    async with running_site(tmp_path, tokens={"alice": "alice-token-1"}, max_prompts=1) as site:
        headers = {"Authorization": "Bearer alice-token-1"}
        await site.try_post(image_graph(seconds=0.5), headers=headers)
        assert (await site.try_post(image_graph(), headers=headers))[0] == 429
        assert (await scrape(site))[key("comfywarm_gateway_open_prompts", stage="accepted")] == 1
        values = await wait_for(lambda: scrape(site), lambda found: found[ended] == 1)
        assert values[key("comfywarm_gateway_connected_servers")] == TWO
        await site.servers[0].go_down()
        lost = key("comfywarm_gateway_server_losses_total", server=site.names[0])
        await wait_for(lambda: scrape(site), lambda found: found[lost] == 1)
    assert values[key("comfywarm_gateway_prompts_total", reason="shortest_wait")] == 1
    assert values[key("comfywarm_gateway_prompt_models_total", models="unknown")] == 1
    assert values[key("comfywarm_gateway_limits_reached_total", client="alice", limit="prompts")] == 1
    assert values[key("comfywarm_gateway_limits_reached_total", client="alice", limit="requests")] == 0
    assert values[key("comfywarm_gateway_wait_seconds_count")] == 1
    assert values[key("comfywarm_gateway_open_prompts", stage="accepted")] == 0
    assert values[key("comfywarm_gateway_usable_servers")] == TWO


async def test_metrics_are_as_documented(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        families = list(text_string_to_metric_families(await text_of(site)))
    rows = documented(DOCS / "gateway.md")
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if name.startswith("comfywarm_"):
            assert rows.pop(name) == Row(family.type, frozenset(family.samples[0].labels) - {"le"}), name
    assert rows == {}


async def test_metrics_are_for_the_operator_only(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens={"alice": "alice-token-1"}) as site:
        local = [await metrics_status(site, **headers) for headers in ({}, {"X-Forwarded-For": "192.0.2.1"})]
    listen = {"token": "the-pages-token", "tokens": {"grafana": {"token": "grafanas-token", "may": "read"}}}
    async with running_site(tmp_path, count=1, tokens={"alice": "alice-token-1"}, listen=listen) as site:
        given = ("alice-token-1", "the-pages-token", "grafanas-token")
        withs = [await metrics_status(site, Authorization=f"Bearer {token}") for token in given]
        without = await metrics_status(site)
    assert (local, withs, without) == ([200, 403], [401, 200, 200], 401)


async def metrics_status(site: Site, **headers: str) -> int:
    async with site.session.get(f"{site.url}/metrics", headers=headers) as response:
        return response.status


async def text_of(site: Site) -> str:
    async with site.session.get(f"{site.url}/metrics") as response:
        assert response.status == OK
        return await response.text()


async def scrape(site: Site) -> dict[Key, float]:
    families = text_string_to_metric_families(await text_of(site))
    return {key(one.name, **one.labels): one.value for family in families for one in family.samples}
