"""Let a fourth daemon join, acquire its share and leave."""

import asyncio
import time

from campaigns.cluster.cluster import Cluster
from campaigns.cluster.nodes import LEASE_S

NAME = "d"
SHARE = (0.18, 0.32)
JOIN_S = 60.0


async def join_and_leave(cluster: Cluster) -> None:
    """Join and leave without evictions, so that every warm-up would be unnecessary."""
    await cluster.distributed()
    await cluster.settled()
    posts = len((await cluster.fleet.ledger()).posts)
    await _join(cluster)
    await cluster.settled()
    await _leave(cluster)
    await cluster.distributed()
    await cluster.settled()
    sent = (await cluster.fleet.ledger()).posts[posts:]
    cluster.report.violation("loaded servers warmed again during a join and a leave", [post.server for post in sent])


async def _join(cluster: Cluster) -> None:
    before = {server: cluster.owners.now(server).node for server in cluster.fleet.urls}
    node = cluster.nodes[NAME] = cluster.new_node(NAME)
    await node.start()
    took = await cluster.distributed(JOIN_S)
    await node.until_answering()
    moved = [one for one in before if cluster.owners.now(one).node != before[one]]
    elsewhere = [one for one in moved if cluster.owners.now(one).node != NAME]
    cluster.report.violation("servers that moved between the other nodes", elsewhere)
    share = len(cluster.owners.of(NAME)) / len(before)
    if not SHARE[0] < share < SHARE[1]:
        cluster.report.violation("the new node's share is not about a quarter", [f"{share:.0%}"])
    cluster.report.figure(
        f"a fourth daemon had its share of {share:.1%} after {took:.1f} s; {len(moved)} servers moved"
    )


async def _leave(cluster: Cluster) -> None:
    servers, dead = cluster.owners.of(NAME), cluster.owners.sessions(NAME)
    node = cluster.nodes.pop(NAME)
    since = time.monotonic()
    exit_code, took = await asyncio.gather(node.end(), cluster.owners.takeover_times(servers, dead, since, 4 * LEASE_S))
    if exit_code or len(took) < len(servers) or max(took) > LEASE_S / 2:
        last = f"the last after {max(took, default=0):.2f} s"
        late = f"exit code {exit_code}, {len(took)} of {len(servers)} acquired, {last}"
        cluster.report.violation("a slow or failed leave", [late])
    cluster.report.figure(
        f"it left (SIGTERM): other nodes acquired its {len(servers)} servers within {max(took):.2f} s"
    )
    cluster.report.violation("errors in a daemon's log", node.errors_in_log())
