"""The node that carries a rolling restart out is killed: another one goes on (`make test-cluster`)."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from campaigns.cluster.nodes import Node
from statemachine.cluster.membership import node_for
from statemachine.cluster.rollouts import KEY
from statemachine.simulator import PROFILES, running_fleet
from statemachine.simulator.fleet import SimFleet
from tests.cluster.nats_rig import nats_rig
from tests.faults.hooks import HookProgram
from tests.support.polling import wait_for, wait_until

pytestmark = pytest.mark.cluster

NAMES = ("a", "b", "c")
SERVERS = 6
MOST_AWAY = 2
AWAY_S = 1.0
POLL_S = 0.1
LIMIT_S = 90.0


@dataclass
class Machines:
    """Restart the simulated server of each run of the hook. `most_away` is the highest number away at once."""

    fleet: SimFleet
    hook: HookProgram
    away: set[str] = field(default_factory=set)
    most_away: int = 0

    async def follow(self) -> None:
        done = 0
        async with asyncio.TaskGroup() as group:
            while True:
                for name in self.hook.servers[done:]:
                    done += 1
                    self.away.add(name)
                    self.most_away = max(self.most_away, len(self.away))
                    group.create_task(self._restart(name))
                await asyncio.sleep(POLL_S)

    async def _restart(self, name: str) -> None:
        server = self.fleet.servers[int(name[1:])]
        await server.go_down()
        await asyncio.sleep(AWAY_S)
        await server.come_back()
        self.away.discard(name)


class RestartingNode(Node):
    """A node whose servers have a restart hook."""

    def __init__(self, name: str, folder: Path, urls: dict[str, str], nats: list[str], hook: HookProgram) -> None:
        super().__init__(name, folder, urls, nats)
        settings = json.loads(self.settings_file.read_text(encoding="utf-8"))
        self.settings_file.write_text(json.dumps({**settings, "restart": hook.settings()}), encoding="utf-8")

    async def start_rollout(self) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.address}/api/groups/default/restart", json={"max_unavailable": MOST_AWAY}) as response,
        ):
            assert response.status == 202, await response.text()


@asynccontextmanager
async def running_nodes(nodes: Sequence[Node]) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.end)
        for node in nodes:
            await node.until_answering()
        yield


async def all_loaded(node: Node) -> bool:
    return bool((await node.get("/api/status"))["states"].get("loaded") == SERVERS)


async def rollout(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = (await node.get("/api/rollout"))["rollout"]
    return found


@pytest.mark.timeout(240)
async def test_run_of_a_killed_node_goes_on_at_another(tmp_path: Path) -> None:
    hook = HookProgram(tmp_path)
    async with nats_rig(tmp_path, 3) as nats, running_fleet([PROFILES["cold"]] * SERVERS, scale=0.05) as fleet:
        urls = {f"s{number}": url for number, url in enumerate(fleet.urls)}
        nodes = {name: RestartingNode(name, tmp_path, urls, nats.urls, hook) for name in NAMES}
        machines = Machines(fleet, hook)
        following = asyncio.create_task(machines.follow())
        async with running_nodes(list(nodes.values())), asyncio.timeout(LIMIT_S):
            for node in nodes.values():
                await wait_for(partial(all_loaded, node), timeout_s=LIMIT_S)
            leader = nodes[node_for(KEY, NAMES) or ""]
            survivor = next(node for node in nodes.values() if node is not leader)
            await survivor.start_rollout()
            await wait_until(lambda: len(hook.servers) > MOST_AWAY, LIMIT_S)
            leader.kill()
            await leader.wait_ended()
            run = await wait_for(partial(rollout, survivor), lambda one: one["ended_at"], LIMIT_S)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert run["state"] == "done", run
    assert Counter(hook.servers) == Counter(dict.fromkeys(urls, 1))
    assert machines.most_away <= MOST_AWAY
    assert run["counts"]["done"] == SERVERS
