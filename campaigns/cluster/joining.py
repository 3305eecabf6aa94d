"""A fourth daemon comes and takes its share, and leaves gently."""

import asyncio
import time

from campaigns.cluster.cluster import Cluster
from campaigns.cluster.nodes import LEASE_S

NAME = "d"
SHARE = (0.18, 0.32)
JOIN_S = 60.0


async def join_and_leave(cluster: Cluster) -> None:
    """No model is evicted meanwhile, so every prompt of ours would be one too many."""
    await cluster.shared_out()
    await cluster.settled()
    posts = len((await cluster.fleet.ledger()).posts)
    await _join(cluster)
    await cluster.settled()
    await _leave(cluster)
    await cluster.shared_out()
    await cluster.settled()
    sent = (await cluster.fleet.ledger()).posts[posts:]
    cluster.report.wrong("loaded servers warmed again as a node came and went", [post.server for post in sent])


async def _join(cluster: Cluster) -> None:
    before = {server: cluster.owners.now(server).node for server in cluster.fleet.urls}
    node = cluster.nodes[NAME] = cluster.new_node(NAME)
    await node.start()
    took = await cluster.shared_out(JOIN_S)
    await node.until_answering()
    moved = [one for one in before if cluster.owners.now(one).node != before[one]]
    elsewhere = [one for one in moved if cluster.owners.now(one).node != NAME]
    cluster.report.wrong("servers that moved between the other nodes", elsewhere)
    share = len(cluster.owners.of(NAME)) / len(before)
    if not SHARE[0] < share < SHARE[1]:
        cluster.report.wrong("the new node's share is not about a quarter", [f"{share:.0%}"])
    cluster.report.figure(
        f"a fourth daemon had its share of {share:.1%} {took:.1f} s after its start, moved {len(moved)}"
    )


async def _leave(cluster: Cluster) -> None:
    servers, dead = cluster.owners.of(NAME), cluster.owners.sessions(NAME)
    node = cluster.nodes.pop(NAME)
    since = time.monotonic()
    exit_code, took = await asyncio.gather(node.end(), cluster.owners.taken(servers, dead, since, 4 * LEASE_S))
    if exit_code or len(took) < len(servers) or max(took) > LEASE_S / 2:
        late = (
            f"exit code {exit_code}, {len(took)} of {len(servers)} taken, the last after {max(took, default=0):.2f} s"
        )
        cluster.report.wrong("a node that left gently", [late])
    cluster.report.figure(f"it left (SIGTERM): its {len(servers)} servers were others' within {max(took):.2f} s")
    cluster.report.wrong("faults in a daemon's log", node.faults_of_its_own())
