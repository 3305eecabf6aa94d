"""What only the store over NATS has to do: logins, what others did to its streams, and servers that say nothing."""

import asyncio
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from nats.aio.client import Client
from nats.errors import Error as NatsError

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.nats.connection import Connection
from statemachine.cluster.store import Batch, CutOffError, Dataset, Kept, SharedStore
from tests.cluster.following import PATIENCE_S, POLL_S, following, until
from tests.cluster.nats_rig import NatsRig, nats_rig
from tests.comfyui.rig import free_port


def options(rig: NatsRig, **others: Any) -> NatsOptions:
    return NatsOptions(urls=rig.urls, **{"replicas": 1, "timeout_s": 1.0, **others})


async def appended(store: SharedStore, value: bytes, message_id: str) -> int:
    """However often it takes."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(CutOffError):
                return await store.append(value, message_id)
            await asyncio.sleep(POLL_S)


def test_without_the_extra_its_name_is_told() -> None:
    program = "import sys; sys.modules['nats'] = None; import statemachine.cluster.nats"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "cluster needs the extra comfywarm[cluster]" in done.stderr


async def test_nobody_there() -> None:
    begun, port = time.perf_counter(), free_port()
    with pytest.raises(CutOffError) as caught:
        async with connected(NatsOptions(urls=[f"nats://user:secret@127.0.0.1:{port}"]), patience_s=0.5):
            pass
    assert time.perf_counter() - begun < 4.0
    assert (
        str(caught.value)
        == f"no connection to NATS at 127.0.0.1:{port}: NoServersError nats: no servers available for connection"
    )


async def test_more_replicas_than_servers(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig:
        with pytest.raises(CutOffError, match="replicas"):
            async with connected(NatsOptions(urls=rig.urls, replicas=3), patience_s=0.2):
                pass


async def test_two_fleets_share_an_engine(tmp_path: Path) -> None:
    async with (
        nats_rig(tmp_path) as rig,
        connected(options(rig, prefix="one")) as one,
        connected(options(rig, prefix="two")) as two,
    ):
        heard: list[bytes] = []
        await two.hear("news", heard.append)
        one.tell("news", b"of one")
        assert await one.append(b"x", "x") == 1
        assert await two.append(b"y", "x") == 1
        await one.put(Dataset.SHARED, "k", b"one", 0)
        assert await two.get(Dataset.SHARED, "k") is None
        assert heard == []


async def test_a_log_that_was_trimmed_is_read_from_what_is_left(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig, log_max_messages=3)) as store:
        for i in range(10):
            await store.append(b"%d" % i, str(i))
        async with following(store, Dataset.LOG, after=2) as log:
            await log.until(lambda log: len(log.kept) == 3)
        assert [kept.revision for kept in log.kept] == [8, 9, 10]
        assert log.batches[-1].caught_up


async def test_a_restart_keeps_everything(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig:
        async with connected(options(rig)) as store:
            lineage = store.lineage
            await store.append(b"x", "x")
            revision = await store.put(Dataset.NODES, "n", b"n", 0)
        await rig.stop_all()
        await rig.start_all()
        async with connected(options(rig)) as store:
            assert store.lineage == lineage
            assert await store.append(b"x", "x") == 1
            assert await store.get(Dataset.NODES, "n") == Kept("n", b"n", revision)


async def test_another_life_has_another_lineage(tmp_path: Path) -> None:
    lineages = set()
    for life in ("one", "two"):
        async with nats_rig(tmp_path / life) as rig, connected(options(rig)) as store:
            lineages.add(store.lineage)
    assert len(lineages) == 2


async def test_a_stream_that_was_made_anew_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store, following(store, Dataset.LOG) as log:
        await store.append(b"old", "1")
        await log.until(lambda log: log.values == [b"old"])
        by_hand = Client()
        await by_hand.connect(rig.urls)
        await by_hand.jetstream().delete_stream("comfywarm_log")
        await by_hand.close()
        async with connected(options(rig)) as other, following(other, Dataset.LOG) as others_log:
            assert await other.append(b"new", "2") == 1
            await others_log.until(lambda log: log.values == [b"new"])
            await other.append(b"newer", "3")
            await asyncio.sleep(1.0)
            assert other.lineage != store.lineage
        assert log.values == [b"old"]


async def test_a_log_whose_entries_are_too_old_is_empty_at_once(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig, log_max_age_s=0.2)) as store:
        await store.append(b"old", "1")
        await asyncio.sleep(0.5)
        begun = time.perf_counter()
        async with following(store, Dataset.LOG) as log:
            await log.until(lambda log: bool(log.batches))
        assert log.batches == [Batch([], caught_up=True)]
        assert time.perf_counter() - begun < 0.3


async def test_a_key_that_was_deleted_by_hand_is_not_there(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        await store.put(Dataset.NODES, "n", b"1", 0)
        async with following(store, Dataset.NODES) as nodes:
            await nodes.until(lambda nodes: len(nodes.kept) == 1)
            by_hand = Client()
            await by_hand.connect(rig.urls)
            await (await by_hand.jetstream().key_value("comfywarm_nodes")).delete("n")
            await by_hand.close()
            assert await store.get(Dataset.NODES, "n") is None
            assert await store.put(Dataset.NODES, "n", b"2", 0) == 3
            await nodes.until(lambda nodes: len(nodes.kept) == 2)
        assert nodes.values == [b"1", b"2"]


async def test_a_server_that_freezes_is_left(tmp_path: Path) -> None:
    """Calls end by their own limit, before the connection does; it ends some 2 s later, and a new one is made."""
    async with nats_rig(tmp_path) as rig, connected(options(rig, timeout_s=0.5)) as store:
        rig.pause(0)
        calls = store.append(b"x", "x"), store.get(Dataset.NODES, "n"), store.ask("what", b"?")
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert store.connected
        assert [type(result) for result in results] == [CutOffError] * 3
        assert await until(lambda: not store.connected) < 3.0
        rig.resume(0)
        await until(lambda: store.connected)
        assert await appended(store, b"x", "x") == 1


@pytest.mark.parametrize("made_of_it", [None, NatsError("an answer came meanwhile")])
async def test_a_cancellation_that_nats_swallows_is_not_lost(made_of_it: NatsError | None) -> None:
    async def call() -> None:
        async with Connection(NatsOptions(urls=[])).in_time(10.0):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10.0)
            if made_of_it is not None:
                raise made_of_it

    task = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_a_call_can_be_cancelled_at_any_instant(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        for i in range(300):
            call = asyncio.ensure_future(store.append(b"x", str(i)))
            await asyncio.sleep(i % 30 * 0.0001)
            was_cancelled = call.cancel()
            await asyncio.wait({call})
            assert call.cancelled() == was_cancelled


async def test_a_call_ends_with_the_connection(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        rig.pause(0)
        call = asyncio.ensure_future(store.append(b"x", "x"))
        await asyncio.sleep(0.1)
        begun = time.perf_counter()
        await rig.kill(0)
        with pytest.raises(CutOffError):
            await call
        assert time.perf_counter() - begun < 0.5


async def test_nothing_is_sent_late(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        await rig.kill(0)
        await until(lambda: not store.connected)
        with pytest.raises(CutOffError):
            await store.append(b"late", "late")
        await rig.start_all()
        await until(lambda: store.connected)
        assert await store.append(b"x", "x") == 1


@pytest.mark.parametrize(
    ("server", "client"),
    [
        (["--user", "u", "--pass", "p"], {"user": "u", "password": "p"}),
        (["--auth", "secret"], {"token": "secret"}),
    ],
)
async def test_logins(tmp_path: Path, server: list[str], client: dict[str, str]) -> None:
    async with nats_rig(tmp_path, arguments=server) as rig:
        with pytest.raises(CutOffError, match="Authorization"):
            async with connected(options(rig), patience_s=0.3):
                pass
        async with connected(options(rig, **client)) as store:
            assert await store.append(b"x", "x") == 1


async def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    arguments = ["--tls", "--tlscert", str(tmp_path / "cert.pem"), "--tlskey", str(tmp_path / "key.pem")]
    async with (
        nats_rig(tmp_path, arguments=arguments) as rig,
        connected(options(rig, tls=context)) as store,
    ):
        assert await store.append(b"x", "x") == 1
