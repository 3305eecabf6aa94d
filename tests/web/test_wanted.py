"""GET /api/wanted and its metric."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from statemachine.core.vocabulary import Reason, State
from statemachine.routing.wanted import WantedReason
from statemachine.traffic.group_loads import GroupLoads
from statemachine.web.wanted import WantedCollector, WantedHandler, WantedSchema
from tests.support.paths import DOCS
from tests.web.site import COLD, LOADED, NOW, Site, view


@pytest.fixture(autouse=True)
def _idle_servers(site: Site) -> None:
    """Give both servers an empty queue that is seen."""
    for name, state in ((LOADED, State.LOADED), (COLD, State.COLD)):
        site.snapshot.put(view(name, state, Reason.ALL_CACHED)._replace(queue_remaining=0))


async def test_wanted_says_at_first_that_it_is_unknown(site: Site) -> None:
    status, body = await site.get("/api/wanted")
    assert status == 200
    WantedSchema.model_validate(body)
    (group,) = body["groups"]
    assert (group["wanted"], group["change"], group["reason"]) == (None, None, "observing")
    assert (group["servers"], group["loaded"], body["target_wait_s"]) == (2, 1, 30.0)
    async with site.client.get("/metrics") as response:
        families = {one.name: one for one in text_string_to_metric_families(await response.text())}
    assert families["comfywarm_wanted_servers"].samples == []


async def test_wanted_of_an_unknown_group_is_an_error(site: Site) -> None:
    assert (await site.get("/api/wanted?group=default"))[0] == 200
    status, body = await site.get("/api/wanted?group=nowhere")
    assert (status, body["error"]["code"]) == (404, "unknown_group")


async def test_group_without_servers_is_listed_and_has_a_sample(site: Site) -> None:
    loads = GroupLoads(site.snapshot, lambda: 0.0, 30.0, lambda: {"gpu": [("portrait",)]})
    handler = WantedHandler(site.ports, loads, "en")
    group = next(handler.group(one) for one in loads.demands() if one.group == "gpu")
    assert (group["servers"], group["wanted"], group["change"], group["reason"]) == (0, 1, 1, "workflows")
    collector = WantedCollector(loads)
    collector.refresh()
    (family,) = collector.collect()
    assert [(one.labels, one.value) for one in family.samples] == [({"group": "gpu"}, 1.0)]


async def test_wanted_metric_is_the_number_of_the_route(site: Site) -> None:
    at = [0.0]
    loads = GroupLoads(site.snapshot, lambda: at[0], 30.0)
    collector = WantedCollector(loads)
    collector.refresh()
    at[0] = 500.0
    collector.refresh()
    (family,) = collector.collect()
    assert [(one.labels, one.value) for one in family.samples] == [({"group": "default"}, 2.0)]
    at[0] = 3_000.0
    collector.refresh()
    (family,) = collector.collect()
    assert [one.value for one in family.samples] == [1.0]


async def test_wanted_message_is_in_the_daemons_language(site: Site) -> None:
    loads = GroupLoads(site.snapshot, lambda: NOW, 30.0)
    handler = WantedHandler(site.ports, loads, "zh")
    (route,) = handler.routes()
    assert route.path == "/api/wanted"
    (group,) = [handler.group(one) for one in loads.demands()]
    assert group["message"].startswith("未知")


def test_page_about_autoscaling_lists_every_reason() -> None:
    page = (DOCS / "autoscaling.md").read_text("utf-8").partition("| reason |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == {one.value for one in WantedReason}
