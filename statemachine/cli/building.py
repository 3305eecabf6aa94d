"""How the parts of a daemon are made and taken down; `daemon.py` puts them together."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from ssl import SSLContext
from typing import Any

from aiohttp import ClientSession, web
from loguru import logger

from statemachine.cli.descriptors import allow_descriptors
from statemachine.comfyui.network import NetworkTransport
from statemachine.comfyui.trust import Trust
from statemachine.core.outage import HerdBrake
from statemachine.daemon.config import Reading, read_around
from statemachine.daemon.standalone import Clock, Surroundings
from statemachine.fleet.context import Shared, World
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.reachability import HerdCare
from statemachine.journal.port import JournalPort, JournalUnavailableError
from statemachine.journal.store import JournalStore
from statemachine.publish.counters import Tally
from statemachine.settings import Settings
from statemachine.settings.expand import bracketed
from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

PRUNE_EVERY_S = 3600.0


def new_id() -> str:
    """An id that nothing else has."""
    return str(uuid.uuid4())


def chance() -> Callable[[], float]:
    """Numbers in [0, 1) that nobody can foresee."""
    return random.SystemRandom().random


def first_reading(settings: Settings) -> Reading:
    """A workflow file that cannot be used stops only the servers that need it."""
    reading = read_around(settings)
    for broken in reading.broken:
        logger.error("{}; the servers that need it will be failed", broken)
    allow_descriptors(len(reading.servers))
    return reading


def new_fleet(
    reading: Reading, around: Surroundings, session: ClientSession, trust: Trust, now: Clock, tally: Tally
) -> Fleet:
    """The fleet, not started yet."""
    settings = reading.settings
    shared = Shared(
        settings=settings,
        world=World(now=now, uniform=chance(), new_id=new_id),
        journal=around.journal,
        permits=around.permits,
        check_slots=asyncio.Semaphore(settings.limits.max_checks),
        herd=HerdCare(HerdBrake(), lambda notice: around.publisher.notice(notice, now())),
        tally=tally,
        ownership=around.ownership,
    )
    return Fleet(
        reading.servers,
        reading.workflows,
        shared,
        around.publisher,
        lambda config: NetworkTransport(
            session, config.url, config.headers, lambda: shared.settings.timing.http_timeout_s, trust.context(config)
        ),
    )


@asynccontextmanager
async def web_side(settings: Settings, ports: WebPorts, tls: SSLContext | None) -> AsyncIterator[str]:
    """The listening web side; gives its address."""
    listen = settings.listen
    app = build_app(ports, token=listen.token, language=settings.language, hosts=(listen.host, *listen.hosts))
    runner = build_runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port, ssl_context=tls).start()
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{bracketed(host)}:{port}"
    finally:
        await runner.cleanup()


async def prune(fleet: Fleet, journal: JournalPort, now: Clock) -> None:
    """Keep the journal within its bounds, in the background."""
    while True:
        bounds = fleet.settings.journal
        oldest = now() - bounds.max_age_days * 86_400.0
        with suppress(JournalUnavailableError):
            await journal.read(partial(JournalStore.prune, older_than=oldest, keep=bounds.max_transitions))
        await asyncio.sleep(PRUNE_EVERY_S)


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on beside the block, and is over when the block is left. Where it fails the log says so."""
    task = asyncio.create_task(_loudly(work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _loudly(work: Coroutine[Any, Any, None]) -> None:
    """Nobody waits for what is done in the background, so nobody would hear of its error."""
    try:
        await work
    except Exception:
        logger.exception("{} has failed and is not done any more", getattr(work, "__qualname__", "work"))
