"""All faults in turn, over one cluster; then the servers' books are judged."""

import time
from dataclasses import dataclass
from pathlib import Path

from campaigns.cluster.answers import ask_everywhere
from campaigns.cluster.away import cut_off
from campaigns.cluster.brokers import kill_brokers
from campaigns.cluster.cluster import Cluster, clustered
from campaigns.cluster.joining import join_and_leave
from campaigns.cluster.ledger import Post
from campaigns.cluster.nodes import LEASE_S, MARGIN_S
from campaigns.cluster.report import Report, spread
from campaigns.cluster.silence import freeze_again_and_again, kill_again_and_again

SERVERS = 600
LAG_S = 0.5
"""How late we may hear who owns a server, or a server of a POST."""
WAKE_S = 1.0
"""In which a daemon that goes on sends what it was about to send as it was stopped: docs/cluster.md, the window."""


@dataclass(frozen=True)
class Plan:
    """How often, or for how long, each fault happens; 0 for never."""

    kills: int = 0
    freezes: int = 0
    brokers: int = 0
    away_s: float = 0.0
    joins: bool = False
    servers: int = SERVERS
    seed: int = 1


async def campaign(folder: Path, plan: Plan) -> Report:
    """Run it."""
    report, begun = Report(), time.monotonic()
    async with clustered(folder, plan.servers, plan.seed, report) as cluster:
        await _faults(cluster, plan)
        await ask_everywhere(cluster)
        await _check_posts(cluster)
        nodes = list(cluster.nodes.values())
    for node in nodes:
        report.wrong("faults in a daemon's log", node.faults_of_its_own())
    report.figure(f"violations: {len(report.violations)}; it took {time.monotonic() - begun:.0f} s")
    return report


async def _faults(cluster: Cluster, plan: Plan) -> None:
    if plan.kills:
        await kill_again_and_again(cluster, plan.kills)
    if plan.freezes:
        await freeze_again_and_again(cluster, plan.freezes)
    if plan.brokers:
        await kill_brokers(cluster, plan.brokers)
    if plan.away_s:
        cluster.report.figure(f"all nats-servers away for {plan.away_s:g} s:")
        await cut_off(cluster, plan.away_s)
    if plan.joins:
        await join_and_leave(cluster)


async def _check_posts(cluster: Cluster) -> None:
    """Who is to take a server may die before he does; so a hand-over may take as long as a takeover."""
    nobodys = cluster.owners.handed_over()
    slow = [f"{one:.2f} s" for one in nobodys if one > LEASE_S + MARGIN_S]
    cluster.report.wrong("servers that were nobody's for too long as they were handed over", slow)
    cluster.report.figure(f"hand-overs: {len(nobodys)}; the server was nobody's for: {spread(nobodys)}")
    noted = await cluster.fleet.ledger()
    strange = [post for post in noted.posts if not _was_its_owner(cluster, post)]
    foreign = [f"{post.server} by {post.node}" for post in strange if not _was_on_its_way(cluster, post)]
    cluster.report.wrong("prompts sent twice", noted.duplicates)
    cluster.report.wrong("prompts sent to a server that was warm", noted.needless)
    cluster.report.wrong("prompts sent by a node that had lost the server", foreign)
    cluster.report.figure(
        f"warm-ups: {len(noted.posts)}; sent twice: {len(noted.duplicates)}; needless: {len(noted.needless)}; "
        f"by a node that had lost the server: {len(foreign)}, and {len(strange) - len(foreign)} that were on their way "
        f"as it was stopped; taken from a dead daemon: {noted.taken_from_the_dead}"
    )


def _was_on_its_way(cluster: Cluster, post: Post) -> bool:
    """Whether its sender had just been woken. Sent twice it must not be all the same: the successor waits for it."""
    return any(node == post.node and 0 <= post.sent_at - at + LAG_S <= WAKE_S + LAG_S for node, at in cluster.thaws)


def _was_its_owner(cluster: Cluster, post: Post) -> bool:
    owners = cluster.owners.during(post.server, post.sent_at - LAG_S, post.sent_at + LAG_S)
    return any(owned.node == post.node for owned in owners)
