"""What a daemon works with that shares its fleet with others, through NATS."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from loguru import logger

from statemachine.cluster.node import ClusterNode, Identity
from statemachine.cluster.operator import ForwardingOperator
from statemachine.cluster.store import ClusterUnavailableError, CutOffError, SharedStore
from statemachine.core.vocabulary import Notice
from statemachine.daemon.background import in_background, new_id
from statemachine.daemon.standalone import Surroundings, WallClock, new_journal
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.transition_log import TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.certificates import client_context
from statemachine.settings.cluster import Cluster
from statemachine.web.ports import Operator

LEAVES_WITHIN_S = 3.0
"""How long a daemon that ends takes at most to leave the cluster."""


@asynccontextmanager
async def clustered(settings: Settings, cluster: Cluster, now: WallClock) -> AsyncIterator[Surroundings]:
    """Those of one node. Raises ClusterUnavailableError where NATS cannot be reached at the start."""
    async with _connected(settings, cluster) as store, new_journal(settings, now, store.lineage) as copy:
        snapshot, limits = Snapshot(), settings.limits
        identity = Identity(cluster.node, cluster.lease_s, _steady, new_id)
        node = ClusterNode(
            store, identity, copy, snapshot, (limits.max_warming, limits.max_warming_per_host), settings.language
        )
        publisher = Publisher(node.journal, snapshot, node.bus, TransitionLog(), settings.language)
        node.publish_through(publisher.on_committed, partial(_notice, publisher, now, cluster.node))
        await node.journal.open()
        async with _running(node):
            yield Surroundings(
                journal=node.journal,
                snapshot=snapshot,
                bus=node.bus,
                ownership=node.ownership,
                permits=node.permits,
                publisher=publisher,
                operator_of=partial(_operator, store, node, cluster.node),
                is_alert_leader=lambda: node.is_alert_leader,
            )


def _notice(publisher: Publisher, now: WallClock, node: str, notice: Notice) -> None:
    publisher.notice(notice, now(), node)


def _steady() -> float:
    """Seconds that go on while the process, or the machine, is stopped."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


async def _operator(store: SharedStore, node: ClusterNode, name: str, fleet: Fleet) -> Operator:
    operator = ForwardingOperator(store, node.ownership, name, fleet.act, node.bus.shows)
    await operator.listen()
    return operator


@asynccontextmanager
async def _connected(settings: Settings, cluster: Cluster) -> AsyncIterator[SharedStore]:
    """The store over NATS. Its package is an extra, so it is imported only where it is wanted."""
    try:
        from statemachine.cluster.nats import NatsOptions, connected  # noqa: PLC0415
    except ImportError as error:
        raise ClusterUnavailableError(str(error)) from error
    encrypted = any(url.get_secret_value().startswith("tls:") for url in cluster.nats)
    options = NatsOptions(
        urls=[url.get_secret_value() for url in cluster.nats],
        name=f"comfywarm {cluster.node}",
        credentials=cluster.credentials,
        tls=client_context(cluster.tls.ca_file) if encrypted else None,
        prefix=cluster.prefix,
        replicas=cluster.replicas,
        log_max_age_s=settings.journal.max_age_days * 86_400.0,
        log_max_messages=settings.journal.max_transitions,
    )
    try:
        async with connected(options) as store:
            yield store
    except CutOffError as error:
        raise ClusterUnavailableError(f"no NATS server of cluster.nats answers: {error}") from error


@asynccontextmanager
async def _running(node: ClusterNode) -> AsyncIterator[None]:
    """Once the fleet has stopped, what it said is kept and its servers are given up: others need not wait."""
    async with in_background(node.run()):
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(LEAVES_WITHIN_S):
                    await node.leave()
            except TimeoutError:
                logger.warning("our servers could not be given up: the others take them when our lease has ended")
