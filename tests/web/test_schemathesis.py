"""The running daemon against /openapi.json: schemathesis sends valid and invalid requests.

/api/events is left out, because schemathesis would wait for the end of the stream; tests/web/test_stream.py covers it.
Every run sends the same requests.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.support.paths import WORKFLOWS

ENDLESS = "/api/events"
CONFIG: dict[str, Any] = {
    "seed": 1,
    "workers": 1,
    "generation": {"max-examples": 8, "deterministic": True},
    "phases": {"stateful": {"enabled": False}},
    # 503 is a documented response, not a failure.
    # A schema cannot say that a time is in the future, or how long a duration is.
    "operations": [
        {"include-path-regex": "/pause$", "checks": {"positive_data_acceptance": {"enabled": False}}},
    ],
    "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 503]}},
}


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a daemon over a loaded and a cold server and return its address."""
    async with running_fleet([PROFILES["loaded"], PROFILES["cold"]]) as fleet:
        data = {
            "servers": fleet.urls,
            "workflows_dir": str(WORKFLOWS),
            "listen": {"port": 0},
            "logging": {"file": None},
        }
        async with running_daemon(parse_settings(data, tmp_path, {})) as daemon:
            yield daemon.address


async def description(address: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.get(f"{address}/openapi.json") as response:
        document: dict[str, Any] = await response.json()
    del document["paths"][ENDLESS]
    return document


def ask(document: dict[str, Any], address: str) -> tuple[set[str], list[str]]:
    """Return the tested operations and the failed checks. Blocks."""
    config = SchemathesisConfig.from_dict({**CONFIG, "base-url": address})
    asked: set[str] = set()
    failures: list[str] = []
    for event in from_schema(schemathesis.openapi.from_dict(document, config=config)).execute():
        if isinstance(event, events.ScenarioFinished) and event.status is not Status.SKIP:
            asked.add(event.label or "")
            failures += failed_checks(event)
        elif isinstance(event, events.NonFatalError):
            failures.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return asked, failures


def failed_checks(event: events.ScenarioFinished) -> list[str]:
    """Describe each failed check with its request."""
    found = [check for checks in event.recorder.checks.values() for check in checks if check.failure_info]
    return [f"{event.label} {one.name}: {one.failure_info}" for one in found]


@pytest.mark.timeout(180)
async def test_api_conforms_to_its_description(address: str) -> None:
    document = await description(address)
    asked, failures = await asyncio.to_thread(ask, document, address)
    assert not failures, "\n\n".join(failures)
    assert asked == {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


@pytest.mark.timeout(180)
async def test_wrong_description_is_detected(address: str) -> None:
    document = await description(address)
    document["paths"] = {path: document["paths"][path] for path in ("/healthz", "/api/servers/{name}")}
    document["components"]["schemas"]["Alive"]["properties"]["alive"] = {"type": "string"}
    del document["paths"]["/api/servers/{name}"]["get"]["responses"]["404"]
    _, failures = await asyncio.to_thread(ask, document, address)
    assert any("GET /healthz response_schema_conformance" in failure for failure in failures)
    assert any("GET /api/servers/{name} status_code_conformance" in failure for failure in failures)
