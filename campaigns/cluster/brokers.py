"""Kill the nats-servers one after the other; submissions must not stop for long."""

import asyncio
import time
from itertools import pairwise

from campaigns.cluster.cluster import RATE, Cluster

BEFORE_S = 4.0
AWAY_S = 13.0
LONGEST_PAUSE_S = 12.0
"""Longest pause of all submissions after a kill.

The remaining nats-servers elect a new leader after 4 to 9 s.
"""


async def kill_brokers(cluster: Cluster, how_many: int) -> None:
    """Kill and restart each nats-server in turn."""
    await cluster.fleet.churn(RATE)
    for i in range(how_many):
        await _kill_one(cluster, i)
    await cluster.distributed()
    loaded = await cluster.settled()
    cluster.report.figure(f"  all loaded {loaded:.1f} s after the last")


async def _kill_one(cluster: Cluster, i: int) -> None:
    await asyncio.sleep(BEFORE_S)
    leads = await cluster.nats.meta_leader() == i
    owned = {server: cluster.owners.now(server).session for server in cluster.fleet.urls}
    since = time.monotonic()
    await cluster.nats.kill(i)
    await asyncio.sleep(AWAY_S)
    moved = [one for one in owned if cluster.owners.now(one).session != owned[one]]
    await _report_pause(cluster, f"nats-server {i} killed{' (led JetStream)' if leads else ''}", since, len(moved))
    cluster.report.violation("servers without an owner while one nats-server is down", cluster.owners.unowned())
    await cluster.nats.start(i)
    await cluster.nats.ready()


async def _report_pause(cluster: Cluster, what: str, since: float, moved: int) -> None:
    """Report the longest time without a submission before and after the fault."""
    sent = [post.sent_at for post in (await cluster.fleet.ledger()).posts]
    before = _longest_gap([one for one in sent if since - BEFORE_S <= one < since], since - BEFORE_S, since)
    until = since + AWAY_S
    after = _longest_gap([one for one in sent if since <= one < until], since, until)
    pause = f"longest pause of submissions {after:.2f} s (before: {before:.2f} s)"
    cluster.report.figure(f"{what}: {pause}, {moved} servers changed their owner")
    if after > LONGEST_PAUSE_S:
        cluster.report.violation(f"{what}: long pause of submissions", [f"{after:.2f} s"])


def _longest_gap(sent: list[float], begin: float, end: float) -> float:
    instants = sorted([begin, *sent, end])
    return max(later - earlier for earlier, later in pairwise(instants))
