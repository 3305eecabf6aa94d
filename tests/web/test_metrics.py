"""/metrics can be parsed, and says what the snapshot says."""

from collections.abc import Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from statemachine.core.vocabulary import State
from statemachine.publish.view import ServerDetail
from tests.web.site import COLD, LOADED, NOW, Site

Key = tuple[str, frozenset[tuple[str, str]]]


def key(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


async def scrape(site: Site) -> Mapping[Key, float]:
    async with site.client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        text = await response.text()
    families = list(text_string_to_metric_families(text))
    samples = [sample for family in families for sample in family.samples]
    values = {key(sample.name, **sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "a series comes twice"
    return values


async def test_the_snapshot_is_there(site: Site) -> None:
    values = await scrape(site)
    states = {state: values[key("comfywarm_servers", state=state.value)] for state in State}
    assert {state for state, count in states.items() if count} == {State.LOADED, State.COLD}
    assert values[key("comfywarm_server_loaded", server=LOADED, group="default")] == 1
    assert values[key("comfywarm_server_loaded", server=COLD, group="default")] == 0
    assert values[key("comfywarm_server_missing_keys", server=COLD, group="default")] == 1
    assert values[key("comfywarm_server_queue_remaining", server=COLD, group="default")] == 2
    assert values[key("comfywarm_server_state_since_timestamp_seconds", server=COLD, group="default")] == NOW - 60
    assert values[key("comfywarm_journal_healthy")] == 1


async def test_what_is_unknown_has_no_sample(site: Site) -> None:
    values = await scrape(site)
    assert key("comfywarm_server_queue_remaining", server=LOADED, group="default") not in values
    assert key("comfywarm_server_check_duration_seconds", server=LOADED, group="default") not in values


async def test_details_and_counters_follow(site: Site) -> None:
    detail = ServerDetail()
    detail.check.ms = 250.0
    detail.count("warm_ups")
    detail.count("warm_ups")
    site.snapshot.attach(COLD, detail)
    values = await scrape(site)
    assert values[key("comfywarm_server_check_duration_seconds", server=COLD, group="default")] == 0.25
    assert values[key("comfywarm_server_events_total", server=COLD, group="default", event="warm_ups")] == 2


async def test_openmetrics_is_spoken_to_those_who_prefer_it(site: Site) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    async with site.client.get("/metrics", headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        names = {family.name for family in parse_openmetrics(await response.text())}  # type: ignore[no-untyped-call]
    assert {"comfywarm_servers", "comfywarm_server_loaded", "comfywarm_server_events"} <= names
