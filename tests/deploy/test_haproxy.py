"""Behind a real HAProxy: under a steady load no request lands on a server that the daemon does not call loaded.

What is promised is what the daemon knows, as soon as HAProxy has asked again. Where the daemon knows that a server is
not warm, nothing lands on it after `KNOWN_S`; where it is only in doubt, after `DOUBT_S`. `-s` shows the figures.
"""

import asyncio
import shutil
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from statemachine.traffic.agent import RENEWAL_S
from tests.cli.rig import cli, write_settings
from tests.deploy.haproxy_rig import AGENT_INTER_S, PATIENCE_S, SHIPPED, USER, Outcome, Stage, staged

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed: make test-deploy does it"),
]

ON_ITS_WAY_S = 0.1
"""For the agent's answer, and for a request that HAProxy has already sent off. Shared cores add their measured lag."""

KNOWN_S = AGENT_INTER_S + ON_ITS_WAY_S
DOUBT_S = KNOWN_S + RENEWAL_S
DOUBTED = frozenset({"unknown", "checking"})
LOAD = 100.0
"""Requests a second."""


def landed_late(what: str, stage: Stage, outcome: Outcome) -> int:
    """How many requests landed on a server that was not loaded, later than is promised; the figures are printed."""
    known, doubt = stage.lateness(DOUBTED), stage.lateness()
    late = sum(one > KNOWN_S + stage.lag_s for one in known) + sum(one > DOUBT_S + stage.lag_s for one in doubt)
    print(
        f"{what}: {outcome.total} requests, answers {dict(sorted(outcome.statuses.items()))}; "
        f"on a server known not to be warm: {len(known)} (the latest after {max(known, default=0):.3f} s), "
        f"in doubt: {len(doubt) - len(known)} (after {max(doubt, default=0):.3f} s); "
        f"later than {KNOWN_S:.2f} and {DOUBT_S:.2f} s (and the cores' lag of {stage.lag_s:.3f} s): {late}"
    )
    return late


async def check_configuration(path: Path) -> tuple[int, str]:
    """HAProxy's opinion."""
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-c", "-f", path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    return process.returncode or 0, said.decode()


async def test_the_shipped_configuration_is_valid_without_a_warning() -> None:
    assert await check_configuration(SHIPPED) == (0, "Configuration file is valid\n")


async def test_whatever_is_printed_for_odd_names_is_valid(tmp_path: Path) -> None:
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
    status, said = await check_configuration(path)
    assert (status, [line for line in said.splitlines() if "ALERT" in line or "error" in line.lower()]) == (0, [])


async def test_no_request_lands_on_a_cold_server() -> None:
    async with staged(8) as stage:
        await stage.until_all_take_part()
        outcome = Outcome()
        await asyncio.gather(stage.load(16, LOAD, outcome), stage.churn(16))
        assert landed_late("with agent-check", stage, outcome) == 0
        left = Counter(state for lines in stage.timeline.values() for _, state in lines)
        assert min(left[state] for state in ("cold", "warming", "paused", "unreachable", "loaded")) >= 4, left
        assert outcome.statuses[200] > 0.95 * outcome.total
        assert min(len(server.landed) for server in stage.servers.values()) > 0.02 * outcome.total
        await stage.until_all_take_part()


async def test_the_same_load_without_agent_checks_does_land_on_cold_ones() -> None:
    """The test before this one can fail."""

    def without_agent(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if "agent-check" not in line).replace(
            " disabled ", " "
        )

    async with staged(8, without_agent) as stage:
        await stage.until(lambda states, balancer: set(states.values()) == {"loaded"})
        outcome = Outcome()
        await asyncio.gather(stage.load(4, LOAD, outcome), stage.churn(4))
        assert landed_late("without agent-check", stage, outcome) > 20


async def test_paused_drains_cold_is_down_and_both_keep_what_runs_there() -> None:
    async with staged(3) as stage:
        await stage.until_all_take_part()
        name, server = next(iter(stage.servers.items()))
        cookie = await cookie_of(stage, name)
        async with stage.session.ws_connect(f"{stage.front}/ws?clientId=me", headers=cookie) as socket:
            assert "me" in server.sockets
            await stage.act(name, "pause")
            await stage.until(lambda _, balancer: balancer[name] == "DRAIN (agent)")
            assert await newcomers(stage, name) == 0
            assert await hears(socket, stage, name)

            server.stall()
            server.drop_keys(keep_executor=False)
            await stage.act(name, "resume")
            await stage.until(lambda states, balancer: states[name] == "warming" and balancer[name] == "DOWN (agent)")
            assert await newcomers(stage, name) == 0
            assert await hears(socket, stage, name)
            await returning(stage, name, cookie)

            server.resume()
            await stage.until_all_take_part()
            assert await newcomers(stage, name) > 0


async def cookie_of(stage: Stage, name: str) -> dict[str, str]:
    """The header by which a browser comes back to this server."""
    for _ in stage.servers:
        before = len(stage.servers[name].landed)
        async with stage.session.get(f"{stage.front}/system_stats", headers=USER) as response:
            if len(stage.servers[name].landed) > before:
                return {"Cookie": f"COMFYWARM={response.cookies['COMFYWARM'].value}"}
    raise AssertionError("not every server was given a request in turn")


async def newcomers(stage: Stage, name: str) -> int:
    """How many of 30 requests without a cookie land there."""
    before, outcome = len(stage.servers[name].landed), Outcome()
    for number in range(30):
        await stage.ask(number, outcome)
    assert outcome.statuses == {200: 30}
    return len(stage.servers[name].landed) - before


async def hears(socket: aiohttp.ClientWebSocketResponse, stage: Stage, name: str) -> bool:
    """Whether what the server sends now still comes through."""
    stage.servers[name].send("status", {"mark": name}, "me")
    async with asyncio.timeout(PATIENCE_S):
        while "mark" not in await socket.receive_str():
            pass
    return True


async def returning(stage: Stage, name: str, cookie: dict[str, str]) -> None:
    """Results are read where they were made; new work goes to a warm server, which is the browser's from then on."""
    server = stage.servers[name]
    before = len(server.landed)
    async with stage.session.get(f"{stage.front}/history", headers=USER | cookie) as response:
        assert (response.status, len(server.landed)) == (200, before + 1)
    async with stage.session.get(f"{stage.front}/", headers=USER | cookie) as response:
        assert (len(server.landed), "COMFYWARM" in response.cookies) == (before + 1, True)


async def test_all_cold_is_503_and_all_come_back() -> None:
    async with staged(3) as stage:
        await stage.until_all_take_part()
        for name, server in stage.servers.items():
            server.stall()
            server.drop_keys(keep_executor=False)
            await stage.act(name, "check")
        await stage.until(lambda _, balancer: set(balancer.values()) == {"DOWN (agent)"})
        outcome = Outcome()
        await stage.load(0.5, LOAD, outcome)
        assert outcome.statuses == {503: 50}
        for server in stage.servers.values():
            server.resume()
        await stage.until_all_take_part()
        outcome = Outcome()
        await stage.load(0.5, LOAD, outcome)
        assert outcome.statuses == {200: 50}


async def test_a_restart_of_the_daemon_takes_no_server_out() -> None:
    async with staged(3) as stage:
        await stage.until_all_take_part()
        outcome = Outcome()
        load = asyncio.create_task(stage.load(4, LOAD, outcome, jobs=False))
        await asyncio.sleep(0.5)
        await stage.stop_daemon()
        await asyncio.sleep(1)
        await stage.start_daemon()
        await load
        assert outcome.statuses == {200: 400}
        await stage.until_all_take_part()
