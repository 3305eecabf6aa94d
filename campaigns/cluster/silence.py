"""A daemon is killed, or frozen for twice its lease: its servers are taken over, and nothing is sent twice."""

import asyncio
import time

from campaigns.cluster.cluster import RATE, Cluster
from campaigns.cluster.nodes import LEASE_S
from campaigns.cluster.report import spread

CALM_S = 3.0
"""The longest wait between two blows."""


async def kill_again_and_again(cluster: Cluster, kills: int) -> None:
    """By SIGKILL at a random moment, of one that owns servers; it is started again soon, or after its lease is over."""
    await cluster.fleet.churn(RATE)
    took = [await _kill(cluster) for _ in range(kills)]
    whole = [each for each in took if each]
    cluster.report.figure(f"SIGKILL of a daemon, {kills} times; each of its servers was another's after:")
    cluster.report.figure(f"  servers ({sum(map(len, took))}): {spread([one for each in took for one in each])}")
    cluster.report.figure(f"  last server of each kill ({len(whole)}): {spread([max(each) for each in whole])}")
    await _recover(cluster)


async def freeze_again_and_again(cluster: Cluster, freezes: int) -> None:
    """Each by SIGSTOP for twice the lease, then SIGCONT."""
    await cluster.fleet.churn(RATE)
    took = [await _freeze(cluster) for _ in range(freezes)]
    cluster.report.figure(
        f"SIGSTOP of a daemon for {2 * LEASE_S:g} s, {freezes} times; its servers were another's after:"
    )
    cluster.report.figure(f"  servers ({sum(map(len, took))}): {spread([one for each in took for one in each])}")
    cluster.report.figure(f"  last server of each: {spread([max(each) for each in took if each])}")
    await _recover(cluster)


async def _kill(cluster: Cluster) -> list[float]:
    await asyncio.sleep(cluster.rng.uniform(0.0, CALM_S))
    name = cluster.rng.choice([name for name in sorted(cluster.nodes) if cluster.owners.of(name)])
    node, servers, dead = cluster.nodes[name], cluster.owners.of(name), cluster.owners.sessions(name)
    since = time.monotonic()
    node.strike()
    await cluster.fleet.died(name)
    await node.gone()

    async def start_again() -> None:
        await asyncio.sleep(cluster.rng.uniform(0.0, 2 * LEASE_S))
        await node.start()

    took, _ = await asyncio.gather(cluster.taken_over(name, servers, dead, since), start_again())
    return took


async def _freeze(cluster: Cluster) -> list[float]:
    await cluster.shared_out()
    await asyncio.sleep(cluster.rng.uniform(0.0, CALM_S))
    name = cluster.rng.choice(sorted(cluster.nodes))
    node, servers, dead = cluster.nodes[name], cluster.owners.of(name), cluster.owners.sessions(name)
    since = time.monotonic()
    node.freeze()
    try:
        took, _ = await asyncio.gather(cluster.taken_over(name, servers, dead, since), asyncio.sleep(2 * LEASE_S))
    finally:
        node.thaw()
        cluster.thaws.append((name, time.monotonic()))
    return took


async def _recover(cluster: Cluster) -> None:
    for node in cluster.nodes.values():
        await node.until_answering()
    back = await cluster.shared_out()
    loaded = await cluster.settled()
    cluster.report.figure(f"  afterwards shared out again within {back:.1f} s, all loaded {loaded:.1f} s later")
