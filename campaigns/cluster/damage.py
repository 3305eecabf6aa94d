"""Overwrite, delete and purge what the nodes share, again and again, while warm-ups go on."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import nats
import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext

from campaigns.cluster.cluster import RATE, Cluster
from campaigns.cluster.nodes import LEASE_S
from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.nats.layout import Layout, encode
from statemachine.cluster.permits import LEDGER
from statemachine.cluster.records import Lease, Record, lease_from, record_from
from statemachine.cluster.store import Dataset, SharedStore, StoredValue

ROUND_S = 0.5
MOST_REPORTS = 50
"""Lines of a daemon's log about garbage: the first value of at most ten keys of each kind."""
SERVERS_A_ROUND = 40
READABLE_S = 3 * LEASE_S
LIVE, LONG, DEEP = "live", b'"' + b"x" * 900_000 + b'"', b"[" * 100_000
BUCKETS = (Dataset.NODES, Dataset.SERVERS, Dataset.SHARED)

GARBAGE = (
    b"",
    b"\xff\x00garbage",
    b"null",
    b"[]",
    b"{}",
    DEEP,
    LONG,
    b'{"session": {}, "node": 7, "attempt": "x", "paused": 3, "view": []}',
    b'{"node": "a", "session": null, "fleet": 1, "beat": -1, "over": "yes"}',
    Record("another session", "z", None, paused=True).encoded()[:-1],
    Lease("another node", "s", over=True).encoded(),
    orjson.dumps({"a": 1, "version": 99}),
)
"""No value that a node could take for one of its own: what a node may write, a person may write too."""


async def damage(cluster: Cluster, seconds: float) -> None:
    """Damage every kind of shared value for `seconds`, and check that the nodes repair it and lose nothing."""
    await cluster.distributed()
    await cluster.fleet.churn(RATE)
    owned = {server: cluster.owners.now(server) for server in cluster.fleet.urls}
    async with _vandal(cluster) as vandal:
        rounds, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            await vandal.round(rounds)
            rounds += 1
            await asyncio.sleep(ROUND_S)
        took = await cluster.until("every shared value can be read again", vandal.all_readable, READABLE_S)
    moved = [one for one, before in owned.items() if cluster.owners.now(one).session != before.session]
    cluster.report.violation("servers that changed their owner because of garbage", moved)
    await cluster.settled()
    for name, node in cluster.nodes.items():
        cluster.report.violation(
            f"{name} reports garbage too often", node.lines_with("was not understood")[MOST_REPORTS:]
        )
    cluster.report.figure(f"shared values damaged {rounds} times; all readable again after {took:.1f} s")


class _Vandal:
    """A client with its own connection."""

    def __init__(self, cluster: Cluster, store: SharedStore, client: Client) -> None:
        self._cluster = cluster
        self._store = store
        self._client = client
        self._layout = Layout(NatsOptions(urls=[], name="").prefix)

    async def round(self, number: int) -> None:
        """Damage the permits, every lease and some records, and send garbage to the log and as live values."""
        js, garbage = self._client.jetstream(), GARBAGE[number % len(GARBAGE)]
        servers = self._cluster.rng.sample(sorted(self._cluster.fleet.urls), SERVERS_A_ROUND)
        if number % 5 == 4:
            await self._delete(js, servers, purge=number % 10 == 9)
        else:
            await self._overwrite(js, Dataset.SHARED, [LEDGER], garbage)
            await self._overwrite(js, Dataset.NODES, list(self._cluster.nodes), garbage)
            await self._overwrite(js, Dataset.SERVERS, servers, garbage)
        self._cluster.garbage.add((await js.publish(self._layout.log_subject, garbage)).seq)
        await self._client.publish(self._layout.message_subject(LIVE), garbage)

    async def _overwrite(self, js: JetStreamContext, bucket: Dataset, keys: Sequence[str], garbage: bytes) -> None:
        values = self._layout.key_value(bucket, js)
        await asyncio.gather(*(values.put(encode(key), garbage) for key in keys))

    async def _delete(self, js: JetStreamContext, servers: Sequence[str], *, purge: bool) -> None:
        """Delete keys, or remove everything from all buckets."""
        if purge:
            for bucket in BUCKETS:
                await js.purge_stream(self._layout.stream(bucket))
            return
        for bucket, keys in zip(BUCKETS, (list(self._cluster.nodes), servers, [LEDGER]), strict=True):
            values = self._layout.key_value(bucket, js)
            await asyncio.gather(*(values.delete(encode(key)) for key in keys))

    async def all_readable(self) -> bool:
        """Return whether leases, records and permits can be read, and none is missing that was changed since."""
        leases = [await self._store.get(Dataset.NODES, name) for name in self._cluster.nodes]
        ledger = await self._store.get(Dataset.SHARED, LEDGER)
        if ledger is None or not isinstance(orjson.loads(ledger.value), dict):
            return False
        return all(one is not None and lease_from(one) is not None for one in leases) and await self._records_readable()

    async def _records_readable(self) -> bool:
        stored = [one async for one in _all_of(self._store, Dataset.SERVERS)]
        return all(record_from(one) is not None for one in stored)


async def _all_of(store: SharedStore, dataset: Dataset) -> AsyncIterator[StoredValue]:
    async with aclosing(store.follow(dataset)) as batches:
        async for batch in batches:
            for stored in batch.values:
                yield stored
            if batch.caught_up:
                return


@asynccontextmanager
async def _vandal(cluster: Cluster) -> AsyncIterator[_Vandal]:
    client = await nats.connect(cluster.nats.urls)
    try:
        async with connected(NatsOptions(urls=cluster.nats.urls, name="vandal")) as store:
            yield _Vandal(cluster, store, client)
    finally:
        await client.close()
