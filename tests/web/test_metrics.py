"""/metrics: its format, its values, and its documentation in docs/metrics.md."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from statemachine.core.levels import Level
from statemachine.core.log_entry import notice_entry
from statemachine.core.server import Attempt, Outcome
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.publish.counters import EXPECTED
from statemachine.publish.snapshot import ServerDetail
from tests.support.polling import wait_for
from tests.web.metrics_page import Row, documented
from tests.web.site import COLD, LOADED, NOW, Site, next_event, running_site, view

Key = tuple[str, frozenset[tuple[str, str]]]

SERIES_A_SERVER = 15
SERIES_A_GROUP = 142
SERIES_A_DAEMON = 80
"""Maximum number of series according to docs/metrics.md."""


def key(name: str, **labels: str) -> Key:
    return name, frozenset(labels.items())


async def text_of(site: Site) -> str:
    async with site.client.get("/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        return await response.text()


async def scrape(site: Site) -> Mapping[Key, float]:
    families = list(text_string_to_metric_families(await text_of(site)))
    samples = [sample for family in families for sample in family.samples]
    values = {key(sample.name, **sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "a series comes twice"
    return values


async def test_metrics_include_snapshot(site: Site) -> None:
    values = await scrape(site)
    states = {state: values[key("comfywarm_servers", group="default", state=state.value)] for state in State}
    assert {state for state, count in states.items() if count} == {State.LOADED, State.COLD}
    assert values[key("comfywarm_server_loaded", server=LOADED, group="default")] == 1
    assert values[key("comfywarm_server_loaded", server=COLD, group="default")] == 0
    assert values[key("comfywarm_server_missing_keys", server=COLD, group="default")] == 1
    assert values[key("comfywarm_server_queue_remaining", server=COLD, group="default")] == 2
    assert values[key("comfywarm_server_state_since_timestamp_seconds", server=COLD, group="default")] == NOW - 60
    labels = {"server": COLD, "group": "default", "state": "cold", "reason": "keys_missing"}
    assert values[key("comfywarm_server_state", **labels)] == 1
    assert values[key("comfywarm_journal_healthy")] == 1
    assert values[key("comfywarm_ready")] == 1


async def test_metrics_include_lowest_level_where_observed(site: Site) -> None:
    known = site.snapshot.get(LOADED)
    assert known is not None
    site.snapshot.put(known._replace(levels={"a": Level.VRAM, "b": Level.RAM}))
    values = await scrape(site)
    assert values[key("comfywarm_server_level", server=LOADED, group="default")] == 2
    assert key("comfywarm_server_level", server=COLD, group="default") not in values


async def test_metrics_omit_unknown_values(site: Site) -> None:
    values = await scrape(site)
    assert key("comfywarm_server_queue_remaining", server=LOADED, group="default") not in values
    assert key("comfywarm_server_check_duration_seconds", server=LOADED, group="default") not in values


async def test_metrics_include_server_details_and_counters(site: Site) -> None:
    detail = ServerDetail()
    detail.check.ms = 250.0
    for what in ("submissions", "submissions", "to_cold", "to_warming", "checks"):
        detail.count(what)
    site.snapshot.attach(COLD, detail)
    values = await scrape(site)
    labels = {"server": COLD, "group": "default"}
    assert values[key("comfywarm_server_check_duration_seconds", **labels)] == 0.25
    assert values[key("comfywarm_server_submissions_total", **labels)] == 2
    assert values[key("comfywarm_server_transitions_total", **labels)] == 2
    assert values[key("comfywarm_server_unheard_ends_total", **labels)] == 0


async def test_metrics_sum_groups_and_warm_ups_in_flight(tmp_path: Path) -> None:
    warming = [
        view(f"192.0.2.{n}:8188", State.WARMING, Reason.PROMPT_ACCEPTED)._replace(group="lab") for n in (3, 4, 5)
    ]
    async with running_site(tmp_path, views=[*warming, view(LOADED, State.LOADED, Reason.ALL_CACHED)]) as site:
        values = await scrape(site)
    assert values[key("comfywarm_servers", group="lab", state="warming")] == 3
    assert values[key("comfywarm_servers", group="default", state="warming")] == 0
    assert values[key("comfywarm_warmups_in_flight")] == 3


async def test_transitions_are_counted_by_state_and_reason(site: Site) -> None:
    labels = {"group": "default", "state": "cold", "reason": "keys_missing"}
    assert (await scrape(site))[key("comfywarm_transitions_total", **labels)] == 0, "a rate needs the zero"
    await site.transition(COLD, "once")
    await site.transition(COLD, "twice")
    assert (await scrape(site))[key("comfywarm_transitions_total", **labels)] == 2


async def test_transition_counters_start_at_zero(site: Site) -> None:
    values = await scrape(site)
    for state, reason in EXPECTED:
        assert values[key("comfywarm_transitions_total", group="default", state=state.value, reason=reason.value)] == 0


@pytest.mark.parametrize(
    ("metric", "begins", "ends"),
    [
        ("comfywarm_verdicts_held", Notice.FLEET_VANISHED, Notice.FLEET_BACK),
        ("comfywarm_settings_last_reload_successful", Notice.SETTINGS_RELOADED, Notice.SETTINGS_REFUSED),
    ],
)
async def test_notices_are_counted_and_set_their_gauge(site: Site, metric: str, begins: Notice, ends: Notice) -> None:
    for notice, expected in ((begins, 1), (ends, 0), (begins, 1)):
        await site.publish(notice_entry(notice, NOW))
        assert (await scrape(site))[key(metric)] == expected
    assert (await scrape(site))[key("comfywarm_notices_total", notice=begins.value)] == 2


async def test_checks_and_warm_ups_are_measured(site: Site) -> None:
    site.counters.check_answered("default", 0.2)
    site.counters.check_unanswered("default")
    site.counters.set_warm_up_limit(8)
    site.counters.warm_up_ended("default", ended(Outcome.SUCCEEDED, took_s=45))
    site.counters.warm_up_ended("default", ended(Outcome.FAILED, took_s=4))
    values = await scrape(site)
    assert values[key("comfywarm_check_duration_seconds_bucket", group="default", le="0.25")] == 1
    assert values[key("comfywarm_check_duration_seconds_bucket", group="default", le="0.1")] == 0
    assert values[key("comfywarm_unanswered_checks_total", group="default")] == 1
    assert values[key("comfywarm_warmup_limit")] == 8
    assert values[key("comfywarm_warmups_total", group="default", outcome="succeeded")] == 1
    assert values[key("comfywarm_warmups_total", group="default", outcome="failed")] == 1
    assert values[key("comfywarm_warmups_total", group="default", outcome="lost")] == 0
    assert values[key("comfywarm_warmup_duration_seconds_sum", group="default")] == 45, "successes only"


def ended(outcome: Outcome, took_s: float) -> Attempt:
    attempt = Attempt(COLD, "cache_models", "ours", created_at=NOW)
    attempt.outcome, attempt.ended_at = outcome, NOW + took_s
    return attempt


async def test_event_streams_metric_counts_only_http_streams(site: Site) -> None:
    site.bus.subscribe()
    async with site.client.get("/api/events") as response:
        await next_event(response)
        assert (await scrape(site))[key("comfywarm_event_streams")] == 1


async def test_event_loop_lag_is_measured(site: Site) -> None:
    await wait_for(lambda: scrape(site), lambda found: found[key("comfywarm_event_loop_lag_seconds_count")])


async def test_metrics_are_openmetrics_if_accepted(site: Site) -> None:
    accept = "application/openmetrics-text; version=1.0.0"
    async with site.client.get("/metrics", headers={"Accept": accept}) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        names = {family.name for family in parse_openmetrics(await response.text())}  # type: ignore[no-untyped-call]
    assert {"comfywarm_servers", "comfywarm_server_loaded", "comfywarm_server_transitions"} <= names


async def series_of(folder: Path, servers: int, groups: int) -> int:
    """Return the number of series if every value of each server is known."""
    warming = [view(f"192.0.2.{n}:8188", State.WARMING, Reason.PROMPT_ACCEPTED) for n in range(servers)]
    views = [
        one._replace(group=f"group {n % groups}", queue_remaining=1, progress=0.5, last_check=NOW)
        for n, one in enumerate(warming)
    ]
    async with running_site(folder, views=views) as site:
        for one in views:
            detail = ServerDetail()
            detail.check.ms = 1.0
            site.snapshot.attach(one.name, detail)
        return len(await scrape(site))


async def test_series_per_server_and_group_are_as_documented(tmp_path: Path) -> None:
    few = await series_of(tmp_path / "few", servers=10, groups=1)
    more_servers = await series_of(tmp_path / "servers", servers=20, groups=1)
    more_groups = await series_of(tmp_path / "groups", servers=10, groups=3)
    assert more_servers - few == 10 * SERIES_A_SERVER
    assert more_groups - few <= 2 * SERIES_A_GROUP
    assert few <= 10 * SERIES_A_SERVER + SERIES_A_GROUP + SERIES_A_DAEMON


@dataclass(frozen=True)
class Family:
    """A family as served. `labels` are None if it has no sample."""

    kind: str
    labels: frozenset[str] | None
    help_text: str


@pytest.fixture
async def families(site: Site) -> Mapping[str, Family]:
    """Return the served families by name, counters with `_total`."""
    site.counters.alert_handled("feishu", "sent")
    found = {}
    for family in text_string_to_metric_families(await text_of(site)):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = frozenset(family.samples[0].labels) - {"le"} if family.samples else None
        found[name] = Family(family.type, labels, family.documentation)
    return found


async def test_documented_metrics_equal_served_metrics(families: Mapping[str, Family]) -> None:
    on_linux_only = {name for name in documented() if name.startswith("process_")}
    assert set(documented()) - set(families) <= (set() if sys.platform == "linux" else on_linux_only)
    assert set(families) <= set(documented())


async def test_documented_types_and_labels_equal_served_ones(families: Mapping[str, Family]) -> None:
    rows = documented()
    for name, family in families.items():
        labels = rows[name].labels if family.labels is None else family.labels
        assert rows[name] == Row(family.kind, labels), name


async def test_every_family_has_help_and_prefix(families: Mapping[str, Family]) -> None:
    for name, family in families.items():
        assert family.help_text.endswith("."), name
        assert name.startswith(("comfywarm_", "process_")), name


async def test_labels_are_from_fixed_set(families: Mapping[str, Family]) -> None:
    """Label values are fixed words or come from the settings, never from a server's response."""
    labels = {label for family in families.values() for label in family.labels or ()}
    ours = {"state", "reason", "outcome", "notice", "window", "version", "python", "source", "models", "cause"}
    assert labels <= ours | {"server", "group", "channel"}
