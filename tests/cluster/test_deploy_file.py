"""The permissions in deploy/nats/nats.conf: sufficient for a node, and no more."""

import re
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NatsTimeoutError

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.store import Dataset
from tests.cluster.following import following, until
from tests.cluster.nats_rig import nats_rig
from tests.support.paths import DEPLOY

CONF = DEPLOY / "nats" / "nats.conf"
PASSWORD = "test-password"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file without its cluster and store folder, which the rig sets."""
    monkeypatch.setenv("COMFYWARM_NATS_PASSWORD", PASSWORD)
    path = tmp_path / "nats.conf"
    set_by_the_rig = r"^cluster \{.*?^\}|^  store_dir: .*?$"
    path.write_text(re.sub(set_by_the_rig, "", CONF.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE))
    return path


def options(url: str) -> NatsOptions:
    return NatsOptions(urls=[url.replace("//", f"//comfywarm:{PASSWORD}@")], replicas=1, timeout_s=1.0)


async def echo(value: bytes) -> bytes:
    return value


async def test_nats_conf_permits_everything_a_node_does(conf: Path, tmp_path: Path) -> None:
    async with nats_rig(tmp_path, arguments=["-c", str(conf)]) as rig:
        async with connected(options(rig.urls[0])) as a, connected(options(rig.urls[0])) as b:
            received: list[bytes] = []
            await b.subscribe("live", received.append)
            await b.respond("act.node", echo)
            assert await a.request("act.node", b"pause") == b"pause"
            a.publish("live", b"figures")
            await until(lambda: received == [b"figures"])
            for bucket in (Dataset.NODES, Dataset.SERVERS, Dataset.SHARED):
                revision = await a.put(bucket, "192.0.2.1:8188", b"1", 0)
                await a.put(bucket, "192.0.2.1:8188", b"2", revision)
                async with following(b, bucket) as follower:
                    await follower.until(lambda one: one.values == [b"2"])
                assert (await b.get(bucket, "192.0.2.1:8188")) is not None
            await a.forget(Dataset.SERVERS, "192.0.2.1:8188", 2)
            assert (await b.get(Dataset.SERVERS, "192.0.2.1:8188")) is None
            for i in range(2_000):
                await a.append(b"x" * 500, str(i))
            async with following(b, Dataset.LOG) as log:
                await log.until(lambda log: len(log.stored) == 2_000)
        assert "Violation" not in (rig.servers[0].folder / "server.log").read_text()


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.STREAM.PURGE.comfywarm_log",
        "$JS.API.STREAM.PURGE.KV_comfywarm_nodes",
        "$JS.API.STREAM.PURGE.KV_comfywarm_shared",
        "$JS.API.STREAM.DELETE.KV_comfywarm_servers",
    ],
)
async def test_nats_conf_denies_purging_and_deleting(conf: Path, tmp_path: Path, subject: str) -> None:
    async with nats_rig(tmp_path, arguments=["-c", str(conf)]) as rig:
        async with connected(options(rig.urls[0])) as store:
            await store.append(b"x", "x")
        by_hand = Client()
        await by_hand.connect(options(rig.urls[0]).urls[0])
        with pytest.raises(NatsTimeoutError):
            await by_hand.request(subject, b"", timeout=0.5)
        await by_hand.close()
        assert "Violation" in (rig.servers[0].folder / "server.log").read_text()
