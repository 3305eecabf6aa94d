"""All nats-servers are away for a while: each node ends what is in flight, submits nothing, says so, and heals."""

import asyncio
import time
from collections.abc import Collection

from campaigns.cluster.cluster import RATE, Cluster
from campaigns.cluster.nodes import LEASE_S
from campaigns.cluster.streams import Entry, all_entries, essence, listening
from statemachine.cluster.membership import MARGIN

RUN_UP_S = 4.0
ON_ITS_WAY_S = 0.5
"""How long a POST may take from the last look at the lease to its server."""
HEAL_S = 30.0


async def cut_off(cluster: Cluster, away_s: float) -> None:
    """Models are evicted meanwhile, but where a warm-up is under way."""
    await cluster.shared_out()
    await cluster.fleet.churn(RATE)
    await asyncio.sleep(RUN_UP_S)
    owned = {server: cluster.owners.now(server).node for server in cluster.fleet.urls}
    async with listening(cluster.nodes.values()) as heard:
        in_flight = await cluster.fleet.in_flight()
        await cluster.fleet.churn(RATE, spared=in_flight)
        cut = time.monotonic()
        await cluster.nats.stop_all()
        await asyncio.sleep(away_s)
        await _check_in_flight(cluster, in_flight)
        await _check_others_shown(cluster)
        _check_notices(cluster, heard, "node_cut_off")
        back = time.monotonic()
        await cluster.nats.start_all()
        await _heal(cluster, heard, back)
        await _check_submissions(cluster, cut, back)
        await _check_log(cluster, heard)
    moved = [one for one in owned if cluster.owners.now(one).node != owned[one]]
    cluster.report.figure(f"  servers that changed hands by it: {len(moved)}")


async def _heal(cluster: Cluster, heard: dict[str, list[Entry]], back: float) -> None:
    async def all_told() -> bool:
        return all(any(one["reason"] == "node_back" for one in entries) for entries in heard.values())

    await cluster.until("each node says that it is back", all_told, HEAL_S)
    told = time.monotonic() - back
    await cluster.shared_out()
    await cluster.settled()
    loaded = time.monotonic() - back
    cluster.report.figure(f"  after its start NATS had every node back within {told:.1f} s, all loaded {loaded:.1f} s")


async def _check_in_flight(cluster: Cluster, in_flight: Collection[str]) -> None:
    """What was under way has ended and was checked: its owner says of it what is true."""
    cold, under_way = set(await cluster.fleet.cold()), await cluster.fleet.in_flight()
    statuses = {name: await node.status() for name, node in cluster.nodes.items()}
    said = {one: statuses[cluster.owners.now(one).node or "a"][one] for one in in_flight}
    wrong = [f"{one} is {line['state']}" for one, line in said.items() if (line["state"] == "loaded") == (one in cold)]
    cluster.report.wrong("warm-ups under way at the cut that were not followed to a checked end", wrong)
    cluster.report.wrong(
        "warm-ups under way at the cut that have not ended", [one for one in in_flight if one in under_way]
    )
    cluster.report.figure(f"  of {len(said)} warm-ups under way, {len(said) - len(wrong)} were followed and checked")


async def _check_others_shown(cluster: Cluster) -> None:
    for name, node in cluster.nodes.items():
        status = await node.status()
        others = [status[one] for one in status if cluster.owners.now(one).node != name]
        known = [line["name"] for line in others if (line["state"], line["reason"]) != ("unknown", "node_cut_off")]
        cluster.report.wrong(f"others' servers that {name} claims to know while it is cut off", known)


def _check_notices(cluster: Cluster, heard: dict[str, list[Entry]], reason: str) -> None:
    silent = [name for name, entries in heard.items() if all(one["reason"] != reason for one in entries)]
    cluster.report.wrong(f"nodes that did not tell {reason}", silent)


async def _check_submissions(cluster: Cluster, cut: float, back: float) -> None:
    """Nothing once the lease's margin has passed."""
    sent = [post for post in (await cluster.fleet.ledger()).posts if cut < post.sent_at]
    away = [post.sent_at - cut for post in sent if post.sent_at < back]
    late = [f"{one:.2f} s" for one in away if one > LEASE_S * (1 - MARGIN) + ON_ITS_WAY_S]
    cluster.report.wrong("submissions while cut off", late)
    first = min((post.sent_at - back for post in sent if post.sent_at >= back), default=float("nan"))
    last = f"the last {max(away):.2f} s after it" if away else "none after it"
    cluster.report.figure(f"  submitted after the cut: {len(away)}, {last}; again {first:.1f} s after NATS was started")


async def _check_log(cluster: Cluster, heard: dict[str, list[Entry]]) -> None:
    """What was told without a number has one by now, at every node."""
    unnumbered = [one for entries in heard.values() for one in entries if one["id"] is None]
    for name, node in cluster.nodes.items():
        kept = {essence(entry) for entry in await all_entries(node)}
        lost = [f"{one['server']} {one['reason']}" for one in unnumbered if essence(one) not in kept]
        cluster.report.wrong(f"entries told without a number that {name}'s log lacks", lost)
    cluster.report.figure(f"  entries told without a number: {len(unnumbered)}, all looked for in each node's log")
