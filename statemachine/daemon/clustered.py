"""The backend of a daemon that shares its fleet with other nodes, through NATS."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from loguru import logger

from statemachine.cluster.journal import CopyFile
from statemachine.cluster.membership import Identity
from statemachine.cluster.node import ClusterNode, NodePublication
from statemachine.cluster.operator import ForwardingOperator
from statemachine.cluster.store import ClusterUnavailableError, SharedStore, StoreUnavailableError
from statemachine.core.messages import message
from statemachine.core.ports import Clock, Operator
from statemachine.daemon.process import in_background
from statemachine.daemon.standalone import Backend, writer_thread
from statemachine.journal.opening import open_store
from statemachine.journal.store import JOURNAL_FILE
from statemachine.journal.watched import OpenFile
from statemachine.publish.publisher import TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.cluster import Cluster
from statemachine.settings.tls import client_context

LEAVES_WITHIN_S = 3.0
"""How long a daemon that ends takes at most to leave the cluster."""


@asynccontextmanager
async def clustered(settings: Settings, cluster: Cluster, clock: Clock, lock: OpenFile) -> AsyncIterator[Backend]:
    """Join the cluster, and leave it at the end. Raises ClusterUnavailableError if NATS cannot be reached."""
    async with _connected(settings, cluster) as store:
        with writer_thread() as thread:
            path, snapshot, limits = settings.data_dir / JOURNAL_FILE, Snapshot(), settings.limits
            node = ClusterNode(
                store,
                Identity(cluster.node, cluster.lease_s, _steady, clock.new_id),
                CopyFile(lambda: open_store(path, clock.now, store.lineage, lock), thread),
                NodePublication(snapshot, TransitionLog(), clock.now, settings.language),
                (limits.max_warming, limits.max_warming_per_host),
            )

            async def operator_over(local: Operator) -> Operator:
                operator = ForwardingOperator(store, node.ownership, cluster.node, local, node.bus.has_server)
                await operator.listen()
                return operator

            try:
                await node.journal.open()
                async with _running(node):
                    yield Backend(
                        journal=node.journal,
                        recorder=node.recorder,
                        snapshot=snapshot,
                        bus=node.bus,
                        publisher=node.publisher,
                        ownership=node.ownership,
                        permits=node.permits,
                        operator_over=operator_over,
                        is_alert_leader=lambda: node.is_alert_leader,
                        rollouts=node.rollouts,
                        claims=node.claims,
                    )
            finally:
                await node.journal.close()


def _steady() -> float:
    """Return seconds that also pass while the process, or the machine, is stopped."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@asynccontextmanager
async def _connected(settings: Settings, cluster: Cluster) -> AsyncIterator[SharedStore]:
    """Connect to NATS. Its package is an extra, so it is imported only here."""
    try:
        from statemachine.cluster.nats import NatsOptions, connected  # noqa: PLC0415
    except ImportError as error:
        raise ClusterUnavailableError(message("nats_missing")) from error
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
    except StoreUnavailableError as error:
        raise ClusterUnavailableError(message("nats_not_answering", error=str(error))) from error


@asynccontextmanager
async def _running(node: ClusterNode) -> AsyncIterator[None]:
    """Run the node. At the end, store what it recorded and release its servers, so that others need not wait."""
    async with in_background(node.run()):
        try:
            yield
        finally:
            try:
                async with asyncio.timeout(LEAVES_WITHIN_S):
                    await node.leave()
            except TimeoutError:
                logger.warning("the node's servers could not be released; other nodes take them when its lease ends")
