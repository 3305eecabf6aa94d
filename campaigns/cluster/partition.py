"""Stop all nats-servers for a while: nodes finish prompts in flight, submit nothing and recover."""

import asyncio
import time
from collections.abc import Collection

from campaigns.cluster.cluster import RATE, Cluster
from campaigns.cluster.nodes import LEASE_S
from campaigns.cluster.streams import Entry, all_entries, listening, without_number
from statemachine.cluster.membership import MARGIN

WARM_UP_S = 4.0
IN_TRANSIT_S = 0.5
"""Longest time of a POST from the last check of the lease to its server."""
RECOVERY_S = 30.0


async def cut_off(cluster: Cluster, away_s: float) -> None:
    """Stop all nats-servers for `away_s` while models are evicted, except from servers with a warm-up."""
    await cluster.distributed()
    await cluster.fleet.churn(RATE)
    await asyncio.sleep(WARM_UP_S)
    owned = {server: cluster.owners.now(server).node for server in cluster.fleet.urls}
    async with listening(cluster.nodes.values()) as received:
        in_flight = await cluster.fleet.in_flight()
        await cluster.fleet.churn(RATE, spared=in_flight)
        cut = time.monotonic()
        await cluster.nats.stop_all()
        await asyncio.sleep(away_s)
        await _check_in_flight(cluster, in_flight)
        await _check_others_shown(cluster)
        _check_notices(cluster, received, "node_cut_off")
        back = time.monotonic()
        await cluster.nats.start_all()
        await _recover(cluster, received, back)
        await _check_submissions(cluster, cut, back)
        await _check_log(cluster, received)
    moved = [one for one in owned if cluster.owners.now(one).node != owned[one]]
    cluster.report.figure(f"  servers that changed their owner: {len(moved)}")


async def _recover(cluster: Cluster, received: dict[str, list[Entry]], back: float) -> None:
    async def all_reported() -> bool:
        return all(any(one["reason"] == "node_back" for one in entries) for entries in received.values())

    await cluster.until("each node reports node_back", all_reported, RECOVERY_S)
    reported = time.monotonic() - back
    await cluster.distributed()
    await cluster.settled()
    loaded = time.monotonic() - back
    cluster.report.figure(
        f"  after the restart of NATS every node was back within {reported:.1f} s, all loaded after {loaded:.1f} s"
    )


async def _check_in_flight(cluster: Cluster, in_flight: Collection[str]) -> None:
    """Check that prompts in flight have ended and that their servers' states are true."""
    cold, running = set(await cluster.fleet.cold()), await cluster.fleet.in_flight()
    statuses = {name: await node.status() for name, node in cluster.nodes.items()}
    shown = {one: statuses[cluster.owners.now(one).node or "a"][one] for one in in_flight}
    wrong = [f"{one} is {line['state']}" for one, line in shown.items() if (line["state"] == "loaded") == (one in cold)]
    cluster.report.violation("warm-ups in flight at the cut whose server has a wrong state", wrong)
    cluster.report.violation(
        "warm-ups in flight at the cut that have not ended", [one for one in in_flight if one in running]
    )
    cluster.report.figure(f"  of {len(shown)} warm-ups in flight, {len(shown) - len(wrong)} were tracked and checked")


async def _check_others_shown(cluster: Cluster) -> None:
    for name, node in cluster.nodes.items():
        status = await node.status()
        others = [status[one] for one in status if cluster.owners.now(one).node != name]
        known = [line["name"] for line in others if (line["state"], line["reason"]) != ("unknown", "node_cut_off")]
        cluster.report.violation(f"other nodes' servers that {name} shows as known while it is cut off", known)


def _check_notices(cluster: Cluster, received: dict[str, list[Entry]], reason: str) -> None:
    silent = [name for name, entries in received.items() if all(one["reason"] != reason for one in entries)]
    cluster.report.violation(f"nodes that did not report {reason}", silent)


async def _check_submissions(cluster: Cluster, cut: float, back: float) -> None:
    """Check that nothing was submitted after the lease's margin."""
    sent = [post for post in (await cluster.fleet.ledger()).posts if cut < post.sent_at]
    away = [post.sent_at - cut for post in sent if post.sent_at < back]
    late = [f"{one:.2f} s" for one in away if one > LEASE_S * (1 - MARGIN) + IN_TRANSIT_S]
    cluster.report.violation("submissions while cut off", late)
    first = min((post.sent_at - back for post in sent if post.sent_at >= back), default=float("nan"))
    last = f"the last after {max(away):.2f} s" if away else "none"
    cluster.report.figure(
        f"  submitted after the cut: {len(away)}, {last}; again {first:.1f} s after the restart of NATS"
    )


async def _check_log(cluster: Cluster, received: dict[str, list[Entry]]) -> None:
    """Check that every entry sent without a number is now in every node's log."""
    unnumbered = [one for entries in received.values() for one in entries if one["id"] is None]
    for name, node in cluster.nodes.items():
        kept = {without_number(entry) for entry in await all_entries(node)}
        lost = [f"{one['server']} {one['reason']}" for one in unnumbered if without_number(one) not in kept]
        cluster.report.violation(f"entries sent without a number that {name}'s log lacks", lost)
    cluster.report.figure(f"  entries sent without a number: {len(unnumbered)}, each searched in every node's log")
