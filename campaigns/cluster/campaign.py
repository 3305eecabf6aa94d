"""Apply all faults in turn to one cluster, then check the servers' records."""

import time
from dataclasses import dataclass
from pathlib import Path

from campaigns.cluster.brokers import kill_brokers
from campaigns.cluster.cluster import Cluster, clustered
from campaigns.cluster.damage import damage
from campaigns.cluster.failures import freeze_repeatedly, kill_repeatedly
from campaigns.cluster.joining import join_and_leave
from campaigns.cluster.ledger import Post
from campaigns.cluster.nodes import LEASE_S, MARGIN_S
from campaigns.cluster.partition import cut_off
from campaigns.cluster.queries import query_every_node
from campaigns.cluster.report import Report, spread

SERVERS = 600
LAG_S = 0.5
"""Longest delay with which the campaign sees an owner, or a server a POST."""
WAKE_S = 1.0
"""Time in which a resumed daemon may finish its POST: the window in docs/cluster.md."""


@dataclass(frozen=True)
class Plan:
    """The number, or the duration, of each fault; 0 for none."""

    kills: int = 0
    freezes: int = 0
    brokers: int = 0
    damage_s: float = 0.0
    away_s: float = 0.0
    joins: bool = False
    servers: int = SERVERS
    seed: int = 1


async def campaign(folder: Path, plan: Plan) -> Report:
    """Run the campaign."""
    report, begun = Report(), time.monotonic()
    async with clustered(folder, plan.servers, plan.seed, report) as cluster:
        await _faults(cluster, plan)
        await query_every_node(cluster)
        await _check_posts(cluster)
        nodes = list(cluster.nodes.values())
    for node in nodes:
        report.violation("errors in a daemon's log", node.errors_in_log())
    report.figure(f"violations: {len(report.violations)}; it took {time.monotonic() - begun:.0f} s")
    return report


async def _faults(cluster: Cluster, plan: Plan) -> None:
    if plan.kills:
        await kill_repeatedly(cluster, plan.kills)
    if plan.freezes:
        await freeze_repeatedly(cluster, plan.freezes)
    if plan.brokers:
        await kill_brokers(cluster, plan.brokers)
    if plan.damage_s:
        await damage(cluster, plan.damage_s)
    if plan.away_s:
        cluster.report.figure(f"all nats-servers down for {plan.away_s:g} s:")
        await cut_off(cluster, plan.away_s)
    if plan.joins:
        await join_and_leave(cluster)


async def _check_posts(cluster: Cluster) -> None:
    """Check handovers and POSTs. A handover may last a lease because the new owner may die."""
    handovers = cluster.owners.handover_times()
    slow = [f"{one:.2f} s" for one in handovers if one > LEASE_S + MARGIN_S]
    cluster.report.violation("servers without an owner for too long during a handover", slow)
    cluster.report.figure(f"handovers: {len(handovers)}; time without an owner: {spread(handovers)}")
    ledger = await cluster.fleet.ledger()
    late = [post for post in ledger.posts if not _was_its_owner(cluster, post)]
    foreign = [f"{post.server} by {post.node}" for post in late if not _was_in_transit(cluster, post)]
    cluster.report.violation("duplicate prompts", ledger.duplicates)
    cluster.report.violation("prompts sent to a warm server", ledger.unnecessary)
    cluster.report.violation("prompts sent by a node that had lost the server", foreign)
    cluster.report.figure(
        f"warm-ups: {len(ledger.posts)}; duplicates: {len(ledger.duplicates)}; unnecessary: {len(ledger.unnecessary)}; "
        f"by a node that had lost the server: {len(foreign)}, and {len(late) - len(foreign)} that were in transit "
        f"when it was frozen; accepted after the daemon's death: {ledger.accepted_after_death}"
    )


def _was_in_transit(cluster: Cluster, post: Post) -> bool:
    """Return whether the sender had just been resumed. Even then the prompt must not be a duplicate."""
    return any(node == post.node and 0 <= post.sent_at - at + LAG_S <= WAKE_S + LAG_S for node, at in cluster.resumes)


def _was_its_owner(cluster: Cluster, post: Post) -> bool:
    owners = cluster.owners.during(post.server, post.sent_at - LAG_S, post.sent_at + LAG_S)
    return any(owned.node == post.node for owned in owners)
