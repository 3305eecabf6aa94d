"""A real ComfyUI whose worker thread dies: diagnosed, restarted by a hook and warmed without a person."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from statemachine.client.access import daemon_api
from statemachine.gateway.process import running_gateway
from statemachine.settings import parse_settings
from tests.comfyui.daemon import SHORT_TIMING, RealServersClient, running_over, warm_ups_in
from tests.comfyui.rig import Graph, RealServer, Rig, cache_workflow
from tests.faults.hooks import HookProgram
from tests.support.polling import wait_for, wait_until

ENDS_WORKER: Graph = {
    "1": {"class_type": "RigEndsWorker", "inputs": {"seconds": 0.1}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}


def users_graph(name: str) -> Graph:
    return {
        "1": {"class_type": "RigSlowModel", "inputs": {"name": name, "seconds": 0.1}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }


class Client:
    """A client of the gateway."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def post(self, name: str) -> str:
        """Post a prompt; return its id."""
        async with self._session.post(f"{self._url}/prompt", json={"prompt": users_graph(name)}) as response:
            assert response.status == 200
            prompt_id: str = (await response.json())["prompt_id"]
        return prompt_id

    async def status_of(self, prompt_id: str) -> str:
        """Wait for the end of a prompt; return its status."""
        found = await wait_for(lambda: self._entry(prompt_id), timeout_s=90)
        status: str = found[prompt_id]["status"]["status_str"]
        return status

    async def _entry(self, prompt_id: str) -> dict[str, dict[str, dict[str, str]]]:
        async with self._session.get(f"{self._url}/history/{prompt_id}") as response:
            entry: dict[str, dict[str, dict[str, str]]] = await response.json()
        return entry


@asynccontextmanager
async def gateway_beside(folder: Path, daemon: RealServersClient, servers: list[RealServer]) -> AsyncIterator[Client]:
    """Run a gateway that follows the daemon; yield a client of it."""
    data = {
        "servers": [one.url for one in servers],
        "listen": {"port": int(daemon.address.rpartition(":")[2])},
        "gateway": {"port": 0, "data_dir": str(folder / "gateway")},
    }
    settings = parse_settings(data, folder, {})
    assert settings.gateway is not None
    async with running_gateway(settings, settings.gateway, lambda: daemon_api(settings)) as gateway:
        await wait_until(lambda: all(one.state == "loaded" and one.is_counted for one in gateway.view), 60)
        yield Client(daemon.session, gateway.address)


async def fill_stuck(daemon: RealServersClient, client: Client, stuck: RealServer, other: RealServer) -> list[str]:
    """End the worker of a server, and send prompts to it before anything has noticed; return their ids."""
    path = f"/api/servers/127.0.0.1:{other.port}"
    assert await daemon.post(f"{path}/pause") == 202
    await daemon.wait_state(other, "paused")
    await stuck.submit(ENDS_WORKER)
    await asyncio.sleep(1.0)
    ids = [await client.post(f"stuck {number}") for number in range(4)]
    assert await daemon.post(f"{path}/resume") == 202
    return ids


@pytest.mark.timeout(300)
async def test_dead_worker_is_repaired_and_no_prompt_is_lost(rig: Rig, tmp_path: Path) -> None:
    """By the histories, each prompt of the gateway's client runs once, on one of the servers."""
    flow, hook = cache_workflow("a", seconds=0.2), HookProgram(tmp_path)
    servers = [rig.server(workflow=flow, node=True) for _ in range(2)]
    await asyncio.gather(*(one.start() for one in servers))
    stuck, other = servers
    restart = hook.settings(when_stuck=True, return_timeout_s=120)
    timing = {**SHORT_TIMING, "warm_timeout_s": 20}
    async with running_over(tmp_path, servers, {"flow": flow}, restart=restart, timing=timing) as daemon:
        await asyncio.gather(*(daemon.wait_state(one, "loaded") for one in servers))
        async with gateway_beside(tmp_path, daemon, servers) as client:
            ids = await fill_stuck(daemon, client, stuck, other)
            await wait_until(lambda: hook.servers, timeout_s=90)
            left = str(await stuck.queue())
            await stuck.kill()
            ids += [await client.post(f"later {number}") for number in range(4)]
            await stuck.start()
            detail = await daemon.wait_until(stuck, lambda one: (one["restart"] or {}).get("ended_at"), timeout_s=90)
            assert [await client.status_of(one) for one in ids] == ["success"] * len(ids)
        assert (detail["restart"]["stage"], detail["restart"]["cause"]) == ("succeeded", "queue_stuck")
        assert "worker has died" in str([one["message"] for one in detail["transitions"]])
        histories = [await one.history() for one in servers]
        assert len(warm_ups_in(histories[0])) == 1
    ran = Counter(prompt_id for history in histories for prompt_id in history)
    assert {one: ran[one] for one in ids} == dict.fromkeys(ids, 1)
    assert [one for one in ids if one in left] == []
    assert hook.servers == [f"127.0.0.1:{stuck.port}"]
