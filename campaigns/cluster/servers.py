"""The simulated servers as a process: `python -m campaigns.cluster.servers COUNT SEED PORT`.

At PORT it answers the campaign: what the servers are, what they have noted, and it makes them lose their models.
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
from statemachine.simulator import PERSONAS
from statemachine.simulator.sockets import Gateway

LOAD_S = 12.0
"""For each of four models, before the scale: a warm-up takes 2.4 s."""
USUAL = Role(replace(PERSONAS["loaded"], load_seconds=LOAD_S))
INSPIRE = Role(replace(PERSONAS["inspire"], load_seconds=LOAD_S, loaded=True))
LATE = Role(replace(PERSONAS["loaded"], load_seconds=LOAD_S), post_lies_s=10.0)
"""A POST may lie there for 4 to 10 s, longer than its sender's lease, before it is taken."""
A_HOST = 10
USERS_JOB_S = 0.2
HOST = "127.0.0.1"


def role(number: int) -> Role:
    """Of ten servers one lets POSTs lie, two have Inspire-Pack's list only."""
    if number % 10 == 7:
        return LATE
    return INSPIRE if number % 5 == 3 else USUAL


class Show:
    """The servers, by name, and what the campaign may ask of them."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.servers: dict[str, tuple[LedgerServer, str]] = {}
        self._rng = Random(seed)
        self._churn: asyncio.Task[None] | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/servers", self._say_servers)
        app.router.add_get("/ledger", self._send_ledger)
        app.router.add_get("/now", self._say_now)
        app.router.add_post("/churn", self._set_churn)
        app.router.add_post("/died/{node}", self._note_death)
        return app

    async def _say_servers(self, _: web.Request) -> web.Response:
        return web.json_response({name: url for name, (_, url) in self.servers.items()})

    async def _send_ledger(self, _: web.Request) -> web.Response:
        return web.json_response(self.ledger.as_json([server for server, _ in self.servers.values()]))

    async def _say_now(self, _: web.Request) -> web.Response:
        """Of each server: is it warm, and which prompts of ours are queued or running."""
        now = {name: [server.warm, [one for one, _ in server.ours_in_queue()]] for name, (server, _) in self._all()}
        return web.json_response(now)

    async def _set_churn(self, request: web.Request) -> web.Response:
        """So many evictions a second, but none at the servers to be spared; 0 for none."""
        wanted = await request.json()
        if self._churn is not None:
            self._churn.cancel()
        spared = set(wanted["spared"])
        victims = [server for name, (server, _) in self._all() if name not in spared]
        self._churn = asyncio.create_task(self._evict(victims, wanted["rate"])) if wanted["rate"] else None
        return web.json_response({})

    async def _note_death(self, request: web.Request) -> web.Response:
        self.ledger.lives[request.match_info["node"]] += 1
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
async def showing(count: int, seed: int) -> AsyncIterator[Show]:
    """Ten servers to an address of loopback, from 127.0.1.1 on."""
    async with Gateway() as gateway:
        show = Show(seed)
        for number in range(count):
            name = f"s{number:03d}"
            server = LedgerServer(name, role(number), show.ledger, Random(f"{seed}/{name}"))
            host, port = gateway.add(server, f"127.0.1.{1 + number // A_HOST}", 0)
            show.servers[name] = server, f"http://{host}:{port}"
        for server, _ in show.servers.values():
            await server.start()
        yield show


async def serve(count: int, seed: int, port: int) -> None:
    """Until it is ended by a signal."""
    async with showing(count, seed) as show:
        runner = web.AppRunner(show.app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*(int(argument) for argument in sys.argv[1:])))
