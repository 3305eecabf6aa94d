"""A real HAProxy under constant load: no request reaches a server that the daemon does not report as loaded.

The guarantee starts when HAProxy has asked the agent again: `KNOWN_S` after the daemon knows that a server is not warm,
`DOUBT_S` after the server's verdict became stale. `-s` shows the figures.
"""

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from statemachine.traffic.agent import RENEWAL_S
from tests.cli.rig import cli, write_settings
from tests.deploy.churn import churn
from tests.deploy.haproxy_harness import AGENT_INTER_S, PATIENCE_S, SHIPPED, USER, Deployment, Outcome, deployed

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed; run make test-deploy"),
]

IN_TRANSIT_S = 0.1
"""Time for the agent's answer and for requests in transit. The measured lag of shared cores is added to it."""

KNOWN_S = AGENT_INTER_S + IN_TRANSIT_S
DOUBT_S = KNOWN_S + RENEWAL_S
DOUBTED = frozenset({"unknown", "checking"})
LOAD = 100.0
"""Requests per second."""


def count_late(label: str, deployment: Deployment, outcome: Outcome) -> int:
    """Count the requests that reached a server that was not loaded after the guarantee began. Print the figures."""
    known, doubt = deployment.lateness(DOUBTED), deployment.lateness()
    late = sum(one > KNOWN_S + deployment.lag_s for one in known) + sum(
        one > DOUBT_S + deployment.lag_s for one in doubt
    )
    print(
        f"{label}: {outcome.total} requests, answers {dict(sorted(outcome.statuses.items()))}; "
        f"on servers known not to be warm: {len(known)} (the latest after {max(known, default=0):.3f} s), "
        f"in doubt: {len(doubt) - len(known)} (after {max(doubt, default=0):.3f} s); "
        f"after {KNOWN_S:.2f} and {DOUBT_S:.2f} s (plus a lag of {deployment.lag_s:.3f} s): {late}"
    )
    return late


async def check_configuration(path: Path) -> tuple[int, str]:
    """Return the exit code and the output of `haproxy -c`."""
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-c", "-f", path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return process.returncode or 0, output.decode()


async def test_shipped_configuration_is_valid_without_warnings() -> None:
    assert await check_configuration(SHIPPED) == (0, "Configuration file is valid\n")


async def test_haproxy_command_with_unusual_names_prints_valid_backend(tmp_path: Path) -> None:
    servers = [
        "http://127.0.0.[1-4]:[8188-8488:100]",
        {"url": "https://localhost:8443", "name": "工作室 \"$HOME\" 'a' \\ #1"[:9]},
        {"url": "http://[::1]:8188"},
        {"url": "http://no-such-host.invalid:8188"},
        {"url": "http://127.0.0.1:8188/comfy", "name": "studio"},
    ]
    printed = await cli(write_settings(tmp_path, servers=servers, traffic={"agent_port": 8798}), "haproxy")
    path = tmp_path / "haproxy.cfg"
    path.write_text(
        SHIPPED.read_text(encoding="utf-8").split("\nbackend ")[0] + "\n" + printed.stdout, encoding="utf-8"
    )
    status, output = await check_configuration(path)
    assert (status, [line for line in output.splitlines() if "ALERT" in line or "error" in line.lower()]) == (0, [])


async def test_load_with_agent_checks_reaches_only_loaded_servers() -> None:
    async with deployed(8) as deployment:
        await deployment.until_all_in_service()
        outcome = Outcome()
        await asyncio.gather(deployment.load(16, LOAD, outcome), churn(deployment, 16))
        assert count_late("with agent-check", deployment, outcome) == 0
        left = Counter(state for lines in deployment.timeline.values() for _, state in lines)
        assert min(left[state] for state in ("cold", "warming", "paused", "unreachable", "loaded")) >= 4, left
        assert outcome.statuses[200] > 0.95 * outcome.total
        assert min(len(server.arrivals) for server in deployment.servers.values()) > 0.02 * outcome.total
        await deployment.until_all_in_service()


async def test_load_without_agent_checks_reaches_cold_servers() -> None:
    """Show that the previous test can fail."""

    def without_agent(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if "agent-check" not in line).replace(
            " disabled ", " "
        )

    async with deployed(8, without_agent) as deployment:
        await deployment.until(lambda states, balancer: set(states.values()) == {"loaded"})
        outcome = Outcome()
        await asyncio.gather(deployment.load(4, LOAD, outcome), churn(deployment, 4))
        assert count_late("without agent-check", deployment, outcome) > 20


async def test_paused_drains_cold_is_down_and_both_keep_connections() -> None:
    async with deployed(3) as deployment:
        await deployment.until_all_in_service()
        name, server = next(iter(deployment.servers.items()))
        cookie = await cookie_of(deployment, name)
        async with deployment.session.ws_connect(f"{deployment.front}/ws?clientId=me", headers=cookie) as socket:
            assert "me" in server.sockets
            await deployment.act(name, "pause")
            await deployment.until(lambda _, balancer: balancer[name] == "DRAIN (agent)")
            assert await new_requests(deployment, name) == 0
            assert await receives(socket, deployment, name)

            server.stall()
            server.drop_keys(keep_executor=False)
            await deployment.act(name, "resume")
            await deployment.until(
                lambda states, balancer: states[name] == "warming" and balancer[name] == "DOWN (agent)"
            )
            assert await new_requests(deployment, name) == 0
            assert await receives(socket, deployment, name)
            await check_returning_browser(deployment, name, cookie)

            server.resume()
            await deployment.until_all_in_service()
            assert await new_requests(deployment, name) > 0


async def cookie_of(deployment: Deployment, name: str) -> dict[str, str]:
    """Return the header that routes a browser back to this server."""
    for _ in deployment.servers:
        before = len(deployment.servers[name].arrivals)
        async with deployment.session.get(f"{deployment.front}/system_stats", headers=USER) as response:
            if len(deployment.servers[name].arrivals) > before:
                return {"Cookie": f"COMFYWARM={response.cookies['COMFYWARM'].value}"}
    raise AssertionError("no request reached the server in a full turn")


async def new_requests(deployment: Deployment, name: str) -> int:
    """Send 30 requests without a cookie. Return how many reach the server."""
    before, outcome = len(deployment.servers[name].arrivals), Outcome()
    for number in range(30):
        await deployment.request(number, outcome)
    assert outcome.statuses == {200: 30}
    return len(deployment.servers[name].arrivals) - before


async def receives(socket: aiohttp.ClientWebSocketResponse, deployment: Deployment, name: str) -> bool:
    """Return whether a frame that the server sends now arrives."""
    deployment.servers[name].send("status", {"mark": name}, "me")
    async with asyncio.timeout(PATIENCE_S):
        while "mark" not in await socket.receive_str():
            pass
    return True


async def check_returning_browser(deployment: Deployment, name: str, cookie: dict[str, str]) -> None:
    """Check that results come from the server that ran the prompt, and that new work moves to a warm server."""
    server = deployment.servers[name]
    before = len(server.arrivals)
    async with deployment.session.get(f"{deployment.front}/history", headers=USER | cookie) as response:
        assert (response.status, len(server.arrivals)) == (200, before + 1)
    async with deployment.session.get(f"{deployment.front}/", headers=USER | cookie) as response:
        assert (len(server.arrivals), "COMFYWARM" in response.cookies) == (before + 1, True)


async def test_fleet_all_cold_answers_503_until_warm() -> None:
    async with deployed(3) as deployment:
        await deployment.until_all_in_service()
        for name, server in deployment.servers.items():
            server.stall()
            server.drop_keys(keep_executor=False)
            await deployment.act(name, "check")
        await deployment.until(lambda _, balancer: set(balancer.values()) == {"DOWN (agent)"})
        outcome = Outcome()
        await deployment.load(0.5, LOAD, outcome)
        assert outcome.statuses == {503: 50}
        for server in deployment.servers.values():
            server.resume()
        await deployment.until_all_in_service()
        outcome = Outcome()
        await deployment.load(0.5, LOAD, outcome)
        assert outcome.statuses == {200: 50}


async def test_daemon_restart_keeps_all_servers_in_service() -> None:
    async with deployed(3) as deployment:
        await deployment.until_all_in_service()
        outcome = Outcome()
        load = asyncio.create_task(deployment.load(4, LOAD, outcome, jobs=False))
        await asyncio.sleep(0.5)
        await deployment.stop_daemon()
        await asyncio.sleep(1)
        await deployment.start_daemon()
        await load
        assert outcome.statuses == {200: 400}
        await deployment.until_all_in_service()
