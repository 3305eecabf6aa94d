"""Kill daemons or freeze them for twice the lease; other nodes must acquire their servers."""

import asyncio
import time

from campaigns.cluster.cluster import RATE, Cluster
from campaigns.cluster.nodes import LEASE_S
from campaigns.cluster.report import spread

CALM_S = 3.0
"""Longest wait between two faults."""


async def kill_repeatedly(cluster: Cluster, kills: int) -> None:
    """Kill random owners at random moments; start each again before or after the end of its lease."""
    await cluster.fleet.churn(RATE)
    took = [await _kill(cluster) for _ in range(kills)]
    whole = [each for each in took if each]
    cluster.report.figure(f"SIGKILL of a daemon, {kills} times; other nodes acquired its servers after:")
    cluster.report.figure(f"  servers ({sum(map(len, took))}): {spread([one for each in took for one in each])}")
    cluster.report.figure(f"  last server of each kill ({len(whole)}): {spread([max(each) for each in whole])}")
    await _recover(cluster)


async def freeze_repeatedly(cluster: Cluster, freezes: int) -> None:
    """Freeze random nodes with SIGSTOP for twice the lease, then send SIGCONT."""
    await cluster.fleet.churn(RATE)
    took = [await _freeze(cluster) for _ in range(freezes)]
    cluster.report.figure(
        f"SIGSTOP of a daemon for {2 * LEASE_S:g} s, {freezes} times; other nodes acquired its servers after:"
    )
    cluster.report.figure(f"  servers ({sum(map(len, took))}): {spread([one for each in took for one in each])}")
    cluster.report.figure(f"  last server of each: {spread([max(each) for each in took if each])}")
    await _recover(cluster)


async def _kill(cluster: Cluster) -> list[float]:
    await asyncio.sleep(cluster.rng.uniform(0.0, CALM_S))
    name = cluster.rng.choice([name for name in sorted(cluster.nodes) if cluster.owners.of(name)])
    node, servers, dead = cluster.nodes[name], cluster.owners.of(name), cluster.owners.sessions(name)
    since = time.monotonic()
    node.kill()
    await cluster.fleet.died(name)
    await node.wait_ended()

    async def start_again() -> None:
        await asyncio.sleep(cluster.rng.uniform(0.0, 2 * LEASE_S))
        await node.start()

    took, _ = await asyncio.gather(cluster.takeover_times(name, servers, dead, since), start_again())
    return took


async def _freeze(cluster: Cluster) -> list[float]:
    await cluster.distributed()
    await asyncio.sleep(cluster.rng.uniform(0.0, CALM_S))
    name = cluster.rng.choice(sorted(cluster.nodes))
    node, servers, dead = cluster.nodes[name], cluster.owners.of(name), cluster.owners.sessions(name)
    since = time.monotonic()
    node.freeze()
    try:
        took, _ = await asyncio.gather(cluster.takeover_times(name, servers, dead, since), asyncio.sleep(2 * LEASE_S))
    finally:
        node.resume()
        cluster.resumes.append((name, time.monotonic()))
    return took


async def _recover(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        await node.until_answering()
    back = await cluster.distributed()
    loaded = await cluster.settled()
    cluster.report.figure(f"  distributed again within {back:.1f} s, all loaded {loaded:.1f} s later")
