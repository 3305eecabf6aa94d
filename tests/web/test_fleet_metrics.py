"""Metrics of a daemon over a cold server, one that cannot be warmed and one that is unreachable."""

from collections.abc import Mapping
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.support.paths import WORKFLOWS
from tests.support.polling import PATIENCE_S, wait_for

PROFILES_HERE = ("cold", "missing_nodes", "absent")
TIMING = {
    "check_interval_s": 0.2,
    "retry_s": 0.1,
    "failed_retry_s": 600,
    "http_timeout_s": 2,
    "link_backoff_max_s": 0.5,
}


class Scrape:
    """One response of /metrics."""

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the series with this name and these labels."""
        return sum(one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items())


async def settled(session: aiohttp.ClientSession, address: str, states: Mapping[str, int]) -> Scrape:
    """Return the first scrape with these states whose transitions equal the servers' own counters."""

    async def scrape() -> Scrape:
        async with session.get(f"{address}/metrics") as response:
            return Scrape(await response.text())

    def holds(scrape: Scrape) -> bool:
        has_states = all(scrape.sum("comfywarm_servers", state=state) == count for state, count in states.items())
        counted = scrape.sum("comfywarm_server_transitions_total")
        return has_states and scrape.sum("comfywarm_transitions_total") == counted

    return await wait_for(scrape, holds)


async def test_metrics_of_running_fleet_count_its_events(tmp_path: Path) -> None:
    profiles = [PROFILES[name] for name in PROFILES_HERE]
    async with running_fleet(profiles, scale=0.02) as fleet:
        data = {
            "listen": {"port": 0},
            "servers": [{"url": one.url, "name": one.server.profile.name, "group": "lab"} for one in fleet.members],
            "data_dir": str(tmp_path),
            "workflows_dir": str(WORKFLOWS),
            "timing": TIMING,
            "limits": {"max_warming": 3},
        }
        settings = parse_settings(data, tmp_path, {})
        async with running_daemon(settings) as daemon, aiohttp.ClientSession() as session:
            scrape = await settled(session, daemon.address, {"loaded": 1, "failed": 1, "unreachable": 1})
            async with session.get(f"{daemon.address}/api/log?limit=500") as response:
                entries = len((await response.json())["entries"])
    assert scrape.sum("comfywarm_warmups_total", group="lab", outcome="succeeded") == 1
    assert scrape.sum("comfywarm_warmups_total") == 1, "nothing was submitted to the other two"
    assert scrape.sum("comfywarm_server_submissions_total", server="cold") == 1
    assert scrape.sum("comfywarm_warmup_duration_seconds_count", group="lab") == 1
    assert 0 < scrape.sum("comfywarm_warmup_duration_seconds_sum") < PATIENCE_S
    assert scrape.sum("comfywarm_warmup_limit") == 3
    assert scrape.sum("comfywarm_transitions_total", state="failed", reason="missing_nodes") == 1
    assert scrape.sum("comfywarm_transitions_total") <= entries
    checks = scrape.sum("comfywarm_server_checks_total")
    assert scrape.sum("comfywarm_check_duration_seconds_count", group="lab") == checks > 2
    unanswered = scrape.sum("comfywarm_server_unanswered_checks_total", server="absent")
    assert scrape.sum("comfywarm_unanswered_checks_total", group="lab") == unanswered >= 3
    assert scrape.sum("comfywarm_server_link_connected") == 2
    assert scrape.sum("comfywarm_build_info") == 1
