"""The gateway beside a real daemon over simulated servers."""

from pathlib import Path

from statemachine.client.access import daemon_api
from statemachine.gateway.process import running_gateway
from statemachine.settings import parse_settings
from tests.gateway.rig import running_servers
from tests.support.daemon import daemon_in_process
from tests.support.polling import wait_until


async def test_gateway_follows_the_states_of_a_real_daemon(tmp_path: Path) -> None:
    async with running_servers(2) as (_, names):
        data = {"servers": [f"http://{name}" for name in names], "gateway": {"port": 0}}
        async with daemon_in_process(tmp_path, data) as daemon:
            port = int(daemon.address.rpartition(":")[2])
            settings = parse_settings({**data, "listen": {"port": port}}, tmp_path, {})
            assert settings.gateway is not None
            async with running_gateway(settings, settings.gateway, lambda: daemon_api(settings)) as gateway:
                states = {one.name: one for one in gateway.view}
                await wait_until(lambda: all(one.state == "loaded" for one in states.values()))
                await daemon.post(f"/api/servers/{names[0]}/pause")
                await wait_until(lambda: states[names[0]].state == "paused")
                assert [one.name for one in gateway.view.choose({}).servers] == names[1:]
