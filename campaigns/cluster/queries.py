"""Query every node for the whole fleet: status, log, stream, actions, metrics and `tail`."""

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


async def query_every_node(cluster: Cluster) -> None:
    """Check every node's responses once the fleet has settled."""
    await cluster.distributed()
    await cluster.settled()
    await cluster.until("the nodes' statuses agree", _StatusesAgree(cluster), AGREE_S)
    await _act_elsewhere(cluster)
    await cluster.settled()
    await _compare_streams(cluster)
    await _count_servers(cluster)
    await asyncio.gather(*(_tail(cluster, node) for node in cluster.nodes.values()))
    cluster.report.figure("every node responded for the fleet: status, stream, actions, metrics, tail")


class _StatusesAgree:
    """Check whether all nodes report the same state and reason of every server."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def __call__(self) -> bool:
        statuses = [await node.status() for node in self._cluster.nodes.values()]
        reported = [{name: (line["state"], line["reason"]) for name, line in status.items()} for status in statuses]
        return all(one == reported[0] for one in reported)


async def _act_elsewhere(cluster: Cluster) -> None:
    """Pause and resume at each node a server that the next node owns."""
    names = sorted(cluster.nodes)
    for name, owner in zip(names, [*names[1:], names[0]], strict=True):
        server = min(cluster.owners.of(owner))
        for action, is_done in (("pause", _is("paused")), ("resume", _is("loaded"))):
            status = await cluster.nodes[name].act(server, action)
            if status != 202:
                cluster.report.violation(f"{action} of {server} of {owner} at {name} refused", [f"status {status}"])

            async def everywhere(server: str = server, is_done: Callable[[Any], bool] = is_done) -> bool:
                return all([is_done((await node.status())[server]) for node in cluster.nodes.values()])

            await cluster.until(f"every node shows the {action}", everywhere, AGREE_S)


def _is(state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda line: bool(line["state"] == state)


async def _compare_streams(cluster: Cluster) -> None:
    """Compare the nodes' streams up to a number that all have."""
    lasts = [(await node.get("/api/log?limit=1"))["entries"][0]["id"] for node in cluster.nodes.values()]
    up_to = min(lasts)
    replays = {name: await replayed(node, up_to, REPLAY_S) for name, node in cluster.nodes.items()}
    first = replays[min(replays)]
    for name, entries in replays.items():
        cluster.report.violation(f"entries differ between {name} and another node", _differences(first, entries))
        numbers = [entry["id"] for entry in entries]
        if numbers != [number for number in range(numbers[0], up_to + 1) if number not in cluster.garbage]:
            cluster.report.violation(f"gaps in the numbers of {name}", [f"{len(numbers)} up to {up_to}"])
    cluster.report.figure(f"entries replayed identically by each node: {len(first)}")


def _differences(ones: list[Entry], others: list[Entry]) -> list[str]:
    wrong = [str(one["id"]) for one, other in zip(ones, others, strict=False) if one != other]
    return wrong if len(ones) == len(others) else [*wrong, f"{len(ones)} and {len(others)} entries"]


async def _count_servers(cluster: Cluster) -> None:
    texts = [await node.text("/metrics") for node in cluster.nodes.values()]
    counted = [sum(float(one) for one in GAUGE.findall(text)) for text in texts]
    if sum(counted) != len(cluster.fleet.urls):
        cluster.report.violation("the metrics of all nodes do not count each server once", [str(counted)])


async def _tail(cluster: Cluster, node: Node) -> None:
    process = await node.tail("-n", str(NEWEST))
    out, _ = await asyncio.wait_for(process.communicate(), TAIL_S)
    numbers = [json.loads(line)["id"] for line in out.splitlines()]
    wanted = [entry["id"] for entry in (await node.get(f"/api/log?limit={NEWEST}"))["entries"]][::-1]
    if numbers != wanted:
        cluster.report.violation(f"tail at {node.name}", [f"printed {numbers}, expected {wanted}"])
