"""The composition root: everything is made here, handed to what needs it, and taken down in the opposite order."""

import asyncio
import os
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import SSLContext
from typing import Any

import uvloop
from aiohttp import ClientSession, web
from loguru import logger

from statemachine.alerts.alerter import running_alerts
from statemachine.alerts.lane import AlertWorld
from statemachine.alerts.memory import JournalMemory
from statemachine.cli.descriptors import allow_descriptors
from statemachine.cli.lock import locked
from statemachine.cli.logs import configure_logging, hide
from statemachine.cli.reload import Apply, Reloader
from statemachine.cli.sources import Reading, SettingsFile, read_around
from statemachine.cli.systemd import ServiceManager, supervised
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.trust import Trust
from statemachine.core.budgets import Budget
from statemachine.core.herd import HerdBrake
from statemachine.core.vocabulary import Notice
from statemachine.fleet.blueprint import Changes
from statemachine.fleet.desk import Shared, World
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import HerdCare
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.journal import Journal, JournalUnavailableError, WriterThread
from statemachine.journal.opening import open_store
from statemachine.journal.store import JOURNAL_FILE, JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.tally import Tally
from statemachine.settings import Settings
from statemachine.settings.certificates import load_pair, page_context
from statemachine.settings.expand import bracketed
from statemachine.settings.masking import secrets_in
from statemachine.settings.tls import ListenTls
from statemachine.traffic.agent import answering_agent_checks
from statemachine.warmth import Warmth
from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

Clock = Callable[[], float]

PRUNE_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon. `address` is that of its web side, without a trailing slash; `reload` reads its files again.

    `agent` is where agent checks are answered, if they are.
    """

    address: str
    fleet: Fleet
    reload: Callable[[], None]
    agent: tuple[str, int] | None


def serve(settings: Settings, source: SettingsFile) -> None:
    """Run the daemon until SIGINT or SIGTERM; what changes in `source` is put in force, SIGHUP asks for it.

    Raises AlreadyRunningError, SchemaTooNewError or OSError where it cannot start.
    """
    configure_logging(settings.logging, secrets_in(settings))
    uvloop.run(until_stopped(running_daemon(settings, source)))


async def until_stopped(running: AbstractAsyncContextManager[Daemon]) -> None:
    """Enter the daemon, say where its page is, and leave it on SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running as daemon:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, daemon.reload)
        logger.info("the page is at {}/status", daemon.address)
        await stop.wait()
        logger.info("stopping")


@asynccontextmanager
async def running_daemon(
    settings: Settings, source: SettingsFile | None = None, now: Clock = time.time
) -> AsyncIterator[Daemon]:
    """A daemon, from its lock to its last journal entry. `now` is the wall clock, in epoch seconds.

    Without a `source` the settings stay what they are.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(settings.data_dir))
        journal = await stack.enter_async_context(_open_journal(settings.data_dir / JOURNAL_FILE, now))
        session = await stack.enter_async_context(new_session())
        snapshot, bus, tally = Snapshot(), Bus(), Tally()
        publisher = Publisher(journal, snapshot, bus, TransitionLog(), settings.language)
        journal.on_health = partial(_tell_health, publisher, now)
        await journal.open()
        reading = _first_reading(settings)
        trust = Trust()
        trust.prepare(reading.servers)
        fleet = _fleet(reading, journal, publisher, session, trust, now, tally)
        warmth = Warmth(journal, snapshot, now)
        await stack.enter_async_context(warmth.following())
        alert_world = AlertWorld(now=now, uniform=random.SystemRandom().random, new_id=lambda: str(uuid.uuid4()))
        alerter = await stack.enter_async_context(
            running_alerts(settings, snapshot, bus, JournalMemory(journal), tally, alert_world)
        )
        ports = WebPorts(
            snapshot=snapshot, bus=bus, journal=journal, operator=fleet, now=now, warmth=warmth, tally=tally
        )
        tls = page_context(settings.listen.tls) if settings.listen.tls else None
        address = await stack.enter_async_context(_web_side(settings, ports, tls))
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        agent = await stack.enter_async_context(answering_agent_checks(settings.traffic, snapshot, now))
        await stack.enter_async_context(_in_background(_prune(fleet, journal, now)))
        manager = ServiceManager.of(os.environ)

        async def apply(fresh: Reading) -> Changes:
            hide(secrets_in(fresh.settings))
            await asyncio.to_thread(_read_certificates, fresh, trust, tls, settings.listen.tls)
            changes = await fleet.reconfigure(fresh.settings, fresh.servers, fresh.workflows)
            alerter.reconfigure(fresh.settings)
            return changes

        reloader = _reloader(source, reading, apply, publisher, now, manager)
        reload = await stack.enter_async_context(_reloading(reloader))
        await stack.enter_async_context(supervised(manager, journal.answers, snapshot.summary))
        yield Daemon(address, fleet, reload, agent)


def _fleet(
    reading: Reading,
    journal: Journal,
    publisher: Publisher,
    session: ClientSession,
    trust: Trust,
    now: Clock,
    tally: Tally,
) -> Fleet:
    settings = reading.settings
    shared = Shared(
        settings=settings,
        world=World(now=now, uniform=random.SystemRandom().random, new_id=lambda: str(uuid.uuid4())),
        journal=journal,
        permits=Permits(Budget(settings.limits.max_warming, settings.limits.max_warming_per_host)),
        check_slots=asyncio.Semaphore(settings.limits.max_checks),
        herd=HerdCare(HerdBrake(), lambda notice: publisher.notice(notice, now())),
        tally=tally,
    )
    return Fleet(
        reading.servers,
        reading.workflows,
        shared,
        publisher,
        lambda config: NetworkTransport(
            session, config.url, config.headers, lambda: shared.settings.timing.http_timeout_s, trust.context(config)
        ),
    )


def _first_reading(settings: Settings) -> Reading:
    """A workflow file that cannot be used stops only the servers that need it."""
    reading = read_around(settings)
    for broken in reading.broken:
        logger.error("{}; the servers that need it will be failed", broken)
    allow_descriptors(len(reading.servers))
    return reading


def _read_certificates(fresh: Reading, trust: Trust, page: SSLContext | None, tls: ListenTls | None) -> None:
    """Those of servers that may be new, and the page's own, which may have been renewed. Raises OSError."""
    trust.prepare(fresh.servers)
    if page is not None and tls is not None:
        load_pair(page, tls)


def _reloader(
    source: SettingsFile | None,
    reading: Reading,
    apply: Apply,
    publisher: Publisher,
    now: Clock,
    manager: ServiceManager,
) -> Reloader | None:
    """None where the settings come from no file."""
    if source is None:
        return None
    return Reloader(source, reading, apply, lambda notice, detail: publisher.notice(notice, now(), detail), manager)


@asynccontextmanager
async def _reloading(reloader: Reloader | None) -> AsyncIterator[Callable[[], None]]:
    """Changes of the files are put in force; gives what asks for it at once."""
    if reloader is None:
        yield lambda: logger.info("these settings come from no file: there is nothing to read again")
        return
    async with _in_background(reloader.run()):
        yield reloader.request


@asynccontextmanager
async def _open_journal(path: Path, now: Clock) -> AsyncIterator[Journal]:
    thread = WriterThread()
    journal = Journal(lambda: open_store(path, now), thread)
    try:
        yield journal
    finally:
        await journal.close()
        thread.close()


@asynccontextmanager
async def _web_side(settings: Settings, ports: WebPorts, tls: SSLContext | None) -> AsyncIterator[str]:
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


def _tell_health(publisher: Publisher, now: Clock, healthy: bool) -> None:
    publisher.notice(Notice.JOURNAL_AVAILABLE if healthy else Notice.JOURNAL_UNAVAILABLE, now())


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The work goes on beside the block, and is over when the block is left."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _prune(fleet: Fleet, journal: Journal, now: Clock) -> None:
    """Keep the journal within its bounds, in the background."""
    while True:
        bounds = fleet.settings.journal
        oldest = now() - bounds.max_age_days * 86_400.0
        with suppress(JournalUnavailableError):
            await journal.read(partial(JournalStore.prune, older_than=oldest, keep=bounds.max_transitions))
        await asyncio.sleep(PRUNE_EVERY_S)
