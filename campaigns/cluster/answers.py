"""Any node answers for the whole fleet: status, log, stream, actions, metrics, `tail`."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from campaigns.cluster.cluster import Cluster
from campaigns.cluster.nodes import Node
from campaigns.cluster.streams import Entry, replayed

AGREE_S = 10.0
REPLAY_S = 60.0
TAIL_S = 30.0
NEWEST = 20
GAUGE = re.compile(r"^comfywarm_servers\{.*\} (\S+)$", re.MULTILINE)


async def ask_everywhere(cluster: Cluster) -> None:
    """The fleet has settled."""
    await cluster.shared_out()
    await cluster.settled()
    await cluster.until("the nodes' statuses agree", _Agree(cluster), AGREE_S)
    await _act_elsewhere(cluster)
    await cluster.settled()
    await _compare_streams(cluster)
    await _count_servers(cluster)
    await asyncio.gather(*(_tail(cluster, node) for node in cluster.nodes.values()))
    cluster.report.figure("any node answered for the fleet: status, stream, actions, metrics, tail")


class _Agree:
    """Whether each node says the same of every server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def __call__(self) -> bool:
        statuses = [await node.status() for node in self._cluster.nodes.values()]
        said = [{name: (line["state"], line["reason"]) for name, line in status.items()} for status in statuses]
        return all(one == said[0] for one in said)


async def _act_elsewhere(cluster: Cluster) -> None:
    """Each node is asked to pause, and then to resume, a server of the next one."""
    names = sorted(cluster.nodes)
    for asked, owner in zip(names, [*names[1:], names[0]], strict=True):
        server = min(cluster.owners.of(owner))
        for action, is_done in (("pause", _is("paused")), ("resume", _is("loaded"))):
            status = await cluster.nodes[asked].act(server, action)
            if status != 202:
                cluster.report.wrong(f"{asked} was asked to {action} {server} of {owner}", [f"status {status}"])

            async def everywhere(server: str = server, is_done: Callable[[Any], bool] = is_done) -> bool:
                return all([is_done((await node.status())[server]) for node in cluster.nodes.values()])

            await cluster.until(f"{action} is seen at every node", everywhere, AGREE_S)


def _is(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: bool(line["state"] == state)


async def _compare_streams(cluster: Cluster) -> None:
    """From the first number to one that all have: the same numbers and entries."""
    lasts = [(await node.get("/api/log?limit=1"))["entries"][0]["id"] for node in cluster.nodes.values()]
    up_to = min(lasts)
    told = {name: await replayed(node, up_to, REPLAY_S) for name, node in cluster.nodes.items()}
    first = told[min(told)]
    for name, entries in told.items():
        cluster.report.wrong(f"{name} and another node tell different entries", _differences(first, entries))
        numbers = [entry["id"] for entry in entries]
        if numbers != list(range(numbers[0], up_to + 1)):
            cluster.report.wrong(f"the numbers that {name} tells have gaps", [f"{len(numbers)} up to {up_to}"])
    cluster.report.figure(f"entries replayed alike by each node: {len(first)}")


def _differences(ones: list[Entry], others: list[Entry]) -> list[str]:
    wrong = [str(one["id"]) for one, other in zip(ones, others, strict=False) if one != other]
    return wrong if len(ones) == len(others) else [*wrong, f"{len(ones)} beside {len(others)}"]


async def _count_servers(cluster: Cluster) -> None:
    texts = [await node.text("/metrics") for node in cluster.nodes.values()]
    counted = [sum(float(one) for one in GAUGE.findall(text)) for text in texts]
    if sum(counted) != len(cluster.fleet.urls):
        cluster.report.wrong("the nodes' metrics do not count each server once", [str(counted)])


async def _tail(cluster: Cluster, node: Node) -> None:
    process = await node.tail("-n", str(NEWEST))
    out, _ = await asyncio.wait_for(process.communicate(), TAIL_S)
    numbers = [json.loads(line)["id"] for line in out.splitlines()]
    wanted = [entry["id"] for entry in (await node.get(f"/api/log?limit={NEWEST}"))["entries"]][::-1]
    if numbers != wanted:
        cluster.report.wrong(f"tail at {node.name}", [f"printed {numbers}, not {wanted}"])
