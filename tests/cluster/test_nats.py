"""The store over NATS: logins, streams that others changed, and servers that do not answer."""

import asyncio
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from nats.aio.client import Client

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.store import Batch, Dataset, StoredValue, StoreUnavailableError
from tests.cluster.following import PATIENCE_S, POLL_S, append_with_retries, following, until
from tests.cluster.nats_rig import NatsRig, nats_rig
from tests.support.ports import free_port


def options(rig: NatsRig, **others: Any) -> NatsOptions:
    return NatsOptions(urls=rig.urls, **{"replicas": 1, "timeout_s": 1.0, **others})


async def wait_until_log_is_empty(rig: NatsRig) -> None:
    by_hand = Client()
    await by_hand.connect(rig.urls)
    async with asyncio.timeout(PATIENCE_S):
        while (await by_hand.jetstream().stream_info("comfywarm_log")).state.messages:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
    await by_hand.close()


def test_import_without_nats_py_names_the_extra() -> None:
    program = "import sys; sys.modules['nats'] = None; import statemachine.cluster.nats"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "cluster needs the extra comfywarm[cluster]" in done.stderr


async def test_connected_no_server_raises_without_the_password() -> None:
    begun, port = time.perf_counter(), free_port()
    with pytest.raises(StoreUnavailableError) as caught:
        async with connected(NatsOptions(urls=[f"nats://user:secret@127.0.0.1:{port}"]), patience_s=0.5):
            pass
    assert time.perf_counter() - begun < 10.0
    assert (
        str(caught.value)
        == f"no connection to NATS at 127.0.0.1:{port}: NoServersError nats: no servers available for connection"
    )


async def test_connected_too_many_replicas_raises(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig:
        with pytest.raises(StoreUnavailableError, match="replicas"):
            async with connected(NatsOptions(urls=rig.urls, replicas=3), patience_s=0.2):
                pass


async def test_prefix_separates_fleets_on_one_server(tmp_path: Path) -> None:
    async with (
        nats_rig(tmp_path) as rig,
        connected(options(rig, prefix="one")) as one,
        connected(options(rig, prefix="two")) as two,
    ):
        received: list[bytes] = []
        await two.subscribe("news", received.append)
        one.publish("news", b"of one")
        assert await one.append(b"x", "x") == 1
        assert await two.append(b"y", "x") == 1
        await one.put(Dataset.SHARED, "k", b"one", 0)
        assert await two.get(Dataset.SHARED, "k") is None
        assert received == []


async def test_follow_trimmed_log_starts_at_the_oldest_entry(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig, log_max_messages=3)) as store:
        for i in range(10):
            await store.append(b"%d" % i, str(i))
        async with following(store, Dataset.LOG, after=2) as log:
            await log.until(lambda log: len(log.stored) == 3)
        assert [stored.revision for stored in log.stored] == [8, 9, 10]
        assert log.batches[-1].caught_up


async def test_restart_of_nats_keeps_values_and_lineage(tmp_path: Path) -> None:
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
            assert await store.get(Dataset.NODES, "n") == StoredValue("n", b"n", revision)


async def test_lineage_differs_between_logs(tmp_path: Path) -> None:
    lineages = set()
    for folder in ("one", "two"):
        async with nats_rig(tmp_path / folder) as rig, connected(options(rig)) as store:
            lineages.add(store.lineage)
    assert len(lineages) == 2


async def test_follow_recreated_stream_yields_nothing_of_it(tmp_path: Path, log_lines: list[str]) -> None:
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
            await until(lambda: any("StreamRecreatedError" in line for line in log_lines))
            assert other.lineage != store.lineage
        assert log.values == [b"old"]


@pytest.mark.alone
async def test_follow_expired_log_is_empty_at_once(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig, log_max_age_s=0.2)) as store:
        await store.append(b"old", "1")
        await wait_until_log_is_empty(rig)
        begun = time.perf_counter()
        async with following(store, Dataset.LOG) as log:
            await log.until(lambda log: bool(log.batches))
        assert log.batches == [Batch([], caught_up=True)]
        assert time.perf_counter() - begun < 0.3


async def test_key_deleted_by_hand_can_be_created_again(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        await store.put(Dataset.NODES, "n", b"1", 0)
        async with following(store, Dataset.NODES) as nodes:
            await nodes.until(lambda nodes: len(nodes.stored) == 1)
            by_hand = Client()
            await by_hand.connect(rig.urls)
            await (await by_hand.jetstream().key_value("comfywarm_nodes")).delete("n")
            await by_hand.close()
            assert await store.get(Dataset.NODES, "n") is None
            assert await store.put(Dataset.NODES, "n", b"2", 0) == 3
            await nodes.until(lambda nodes: len(nodes.stored) == 2)
        assert nodes.values == [b"1", b"2"]


async def test_connection_frozen_server_is_left(tmp_path: Path) -> None:
    """Calls end at their timeout. The connection ends about 2 s later, and a new one is made."""
    async with nats_rig(tmp_path) as rig, connected(options(rig, timeout_s=0.5)) as store:
        rig.pause(0)
        calls = store.append(b"x", "x"), store.get(Dataset.NODES, "n"), store.request("echo", b"?")
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert store.connected
        assert [type(result) for result in results] == [StoreUnavailableError] * 3
        assert await until(lambda: not store.connected) < 3.0
        rig.resume(0)
        await until(lambda: store.connected)
        assert await append_with_retries(store, b"x", "x") == 1


async def test_append_cancelled_at_any_moment_is_cancelled(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        for i in range(300):
            call = asyncio.ensure_future(store.append(b"x", str(i)))
            await asyncio.sleep(i % 30 * 0.0001)
            was_cancelled = call.cancel()
            await asyncio.wait({call})
            assert call.cancelled() == was_cancelled


@pytest.mark.alone
async def test_append_lost_connection_raises_at_once(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        rig.pause(0)
        call = asyncio.ensure_future(store.append(b"x", "x"))
        await asyncio.sleep(0)
        begun = time.perf_counter()
        await rig.kill(0)
        with pytest.raises(StoreUnavailableError):
            await call
        assert time.perf_counter() - begun < 0.5


async def test_append_while_disconnected_is_not_sent_later(tmp_path: Path) -> None:
    async with nats_rig(tmp_path) as rig, connected(options(rig)) as store:
        await rig.kill(0)
        await until(lambda: not store.connected)
        with pytest.raises(StoreUnavailableError):
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
async def test_connected_login_is_required_and_accepted(
    tmp_path: Path, server: list[str], client: dict[str, str]
) -> None:
    async with nats_rig(tmp_path, arguments=server) as rig:
        with pytest.raises(StoreUnavailableError, match="Authorization"):
            async with connected(options(rig), patience_s=0.3):
                pass
        async with connected(options(rig, **client)) as store:
            assert await store.append(b"x", "x") == 1


async def test_connected_tls_server_is_accepted(tmp_path: Path) -> None:
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
