"""The simulated servers as a process: `python -m campaigns.cluster.servers COUNT SEED PORT`.

The process serves an API for the campaign at PORT: it lists the servers, returns their records and evicts models.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from aiohttp import web

from campaigns.cluster.ledger import Ledger, LedgerServer
from campaigns.kill.servers import Role
from statemachine.simulator import PROFILES
from statemachine.simulator.sockets import Gateway

LOAD_S = 12.0
"""For each of four models, before scaling: a warm-up takes 2.4 s."""
USUAL = Role(replace(PROFILES["loaded"], load_seconds=LOAD_S))
INSPIRE = Role(replace(PROFILES["inspire"], load_seconds=LOAD_S, loaded=True))
LATE = Role(replace(PROFILES["loaded"], load_seconds=LOAD_S), post_held_s=10.0)
"""Holds a POST for 4 to 10 s, longer than its sender's lease."""
SERVERS_PER_HOST = 10
USERS_JOB_S = 0.2
HOST = "127.0.0.1"


def role(number: int) -> Role:
    """Return the role of a server: one in ten holds POSTs, two in ten have only Inspire-Pack's list."""
    if number % 10 == 7:
        return LATE
    return INSPIRE if number % 5 == 3 else USUAL


class FleetService:
    """The servers by name and the API for the campaign."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.servers: dict[str, tuple[LedgerServer, str]] = {}
        self._rng = Random(seed)
        self._churn: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/servers", self._send_servers)
        app.router.add_get("/ledger", self._send_ledger)
        app.router.add_get("/now", self._send_now)
        app.router.add_post("/churn", self._set_churn)
        app.router.add_post("/died/{node}", self._record_death)
        return app

    async def _send_servers(self, _: web.Request) -> web.Response:
        return web.json_response({name: url for name, (_, url) in self.servers.items()})

    async def _send_ledger(self, _: web.Request) -> web.Response:
        return web.json_response(self.ledger.as_json([server for server, _ in self.servers.values()]))

    async def _send_now(self, _: web.Request) -> web.Response:
        """Send whether each server is warm, and its warm-ups that are queued or running."""
        now = {name: [server.warm, [one for one, _ in server.warm_ups_in_queue()]] for name, (server, _) in self._all()}
        return web.json_response(now)

    async def _set_churn(self, request: web.Request) -> web.Response:
        """Set the evictions per second, except of the spared servers; 0 stops them."""
        wanted = await request.json()
        if self._churn is not None:
            self._churn.cancel()
        spared = set(wanted["spared"])
        victims = [server for name, (server, _) in self._all() if name not in spared]
        self._churn = asyncio.create_task(self._evict(victims, wanted["rate"])) if wanted["rate"] else None
        return web.json_response({})

    async def _record_death(self, request: web.Request) -> web.Response:
        self.ledger.runs[request.match_info["node"]] += 1
        return web.json_response({})

    def _all(self) -> list[tuple[str, tuple[LedgerServer, str]]]:
        return list(self.servers.items())

    async def _evict(self, victims: list[LedgerServer], rate: float) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(0.0, 2.0 / rate))
            server = self._rng.choice(victims)
            server.start_foreign_job(USERS_JOB_S)
            server.drop_keys(keep_executor=False)


@asynccontextmanager
async def running_service(count: int, seed: int) -> AsyncIterator[FleetService]:
    """Run the servers, ten per loopback address from 127.0.1.1 on."""
    async with Gateway() as gateway:
        service = FleetService(seed)
        for number in range(count):
            name = f"s{number:03d}"
            server = LedgerServer(name, role(number), service.ledger, Random(f"{seed}/{name}"))
            host, port = gateway.add(server, f"127.0.1.{1 + number // SERVERS_PER_HOST}", 0)
            service.servers[name] = server, f"http://{host}:{port}"
        for server, _ in service.servers.values():
            await server.start()
        yield service


async def serve(count: int, seed: int, port: int) -> None:
    """Serve until the process is ended by a signal."""
    async with running_service(count, seed) as service:
        runner = web.AppRunner(service.app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*(int(argument) for argument in sys.argv[1:])))
