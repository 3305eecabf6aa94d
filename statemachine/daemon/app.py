"""The composition root: everything is made here, handed to what needs it, and taken down in the opposite order."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ssl import SSLContext

import uvloop
from aiohttp import ClientSession, web
from loguru import logger

from statemachine.alerts.service import running_alerts
from statemachine.alerts.store import JournalAlertStore
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.trust import Trust
from statemachine.core.clock import Clock
from statemachine.core.outage import OutageDetector
from statemachine.core.vocabulary import Notice
from statemachine.daemon.background import chance, in_background, new_id
from statemachine.daemon.clustered import clustered
from statemachine.daemon.config import LoadedConfig, SettingsFile, read_around
from statemachine.daemon.gc_tuning import short_collections
from statemachine.daemon.logging import configure_logging, redact
from statemachine.daemon.process import allow_descriptors, hold_lock
from statemachine.daemon.reload import Reloader
from statemachine.daemon.standalone import Surroundings, WallClock, alone
from statemachine.daemon.systemd import ServiceManager, supervised
from statemachine.fleet.context import FleetContext
from statemachine.fleet.diff import Changes
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import OutageGuard
from statemachine.journal.port import JournalPort, JournalUnavailableError
from statemachine.journal.store import JournalStore
from statemachine.publish.counters import Counters
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.certificates import load_pair, page_context
from statemachine.settings.expand import bracketed
from statemachine.settings.masking import secrets_in
from statemachine.settings.tls import ListenTls
from statemachine.traffic.agent import answering_agent_checks
from statemachine.warmth import Warmth
from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

PRUNE_EVERY_S = 3600.0


def first_reading(settings: Settings) -> LoadedConfig:
    """A workflow file that cannot be used stops only the servers that need it."""
    reading = read_around(settings)
    for broken in reading.broken:
        logger.error("{}; the servers that need it will be failed", broken)
    allow_descriptors(len(reading.servers))
    return reading


def new_fleet(
    reading: LoadedConfig,
    around: Surroundings,
    session: ClientSession,
    trust: Trust,
    now: WallClock,
    counters: Counters,
) -> Fleet:
    """The fleet, not started yet."""
    settings = reading.settings
    shared = FleetContext(
        settings=settings,
        clock=Clock(now=now, uniform=chance(), new_id=new_id),
        journal=around.journal,
        permits=around.permits,
        check_slots=asyncio.Semaphore(settings.limits.max_checks),
        outage=OutageGuard(OutageDetector(), lambda notice: around.publisher.notice(notice, now())),
        counters=counters,
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


async def prune(fleet: Fleet, journal: JournalPort, now: WallClock) -> None:
    """Keep the journal within its bounds, in the background."""
    while True:
        bounds = fleet.settings.journal
        oldest = now() - bounds.max_age_days * 86_400.0
        with suppress(JournalUnavailableError):
            await journal.read(partial(JournalStore.prune, older_than=oldest, keep=bounds.max_transitions))
        await asyncio.sleep(PRUNE_EVERY_S)


START_PATIENCE_S = 10.0
"""How long the last verdicts may take before changed files are looked for all the same."""
START_LOOK_S = 0.1


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
    with short_collections():
        uvloop.run(until_stopped(running_daemon(settings, source)))


async def until_stopped(running: AbstractAsyncContextManager[Daemon]) -> None:
    """Enter the daemon, say where its page is, and leave it on SIGINT or SIGTERM.

    A SIGHUP that comes while it starts is obeyed once it has started: by itself it would end the process.
    """
    stop, early, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, early.set)
    async with running as daemon:
        loop.add_signal_handler(signal.SIGHUP, daemon.reload)
        if early.is_set():
            daemon.reload()
        logger.info("the page is at {}/status", daemon.address)
        await stop.wait()
        logger.info("stopping")


@asynccontextmanager
async def running_daemon(
    settings: Settings, source: SettingsFile | None = None, now: WallClock = time.time
) -> AsyncIterator[Daemon]:
    """A daemon, from its lock to its last journal entry. `now` is the wall clock, in epoch seconds.

    Without a `source` the settings stay what they are.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_lock(settings.data_dir))
        around = await stack.enter_async_context(_surroundings(settings, now))
        session = await stack.enter_async_context(new_session())
        journal, snapshot, bus, counters = around.journal, around.snapshot, around.bus, Counters()
        reading = first_reading(settings)
        trust = Trust()
        trust.prepare(reading.servers)
        fleet = new_fleet(reading, around, session, trust, now, counters)
        warmth = Warmth(journal, snapshot, now)
        await stack.enter_async_context(warmth.following())
        clock = Clock(now=now, uniform=chance(), new_id=new_id)
        alerter = await stack.enter_async_context(
            running_alerts(settings, snapshot, bus, JournalAlertStore(journal), counters, clock, around.is_alert_leader)
        )
        ports = WebPorts(
            snapshot=snapshot,
            bus=bus,
            journal=journal,
            operator=await around.operator_of(fleet),
            now=now,
            warmth=warmth,
            counters=counters,
            owns=around.ownership.owns,
        )
        tls = page_context(settings.listen.tls) if settings.listen.tls else None
        fleet.show()
        address = await stack.enter_async_context(web_side(settings, ports, tls))
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        agent = await stack.enter_async_context(answering_agent_checks(settings.traffic, snapshot, now))
        await stack.enter_async_context(in_background(prune(fleet, journal, now)))
        manager = ServiceManager.of(os.environ)

        async def apply(fresh: LoadedConfig) -> Changes:
            redact([*secrets_in(settings), *secrets_in(fleet.settings), *secrets_in(fresh.settings)])
            await asyncio.to_thread(_read_certificates, fresh, trust, tls, settings.listen.tls)
            changes = await fleet.reconfigure(fresh.settings, fresh.servers, fresh.workflows)
            alerter.reconfigure(fresh.settings)
            return changes

        notify = partial(_notify, around.publisher, now)
        reloader = Reloader(source, reading, apply, notify, manager) if source else None
        reload = await stack.enter_async_context(_reloading(fleet, snapshot, reloader))
        await stack.enter_async_context(supervised(manager, journal.answers, snapshot.summary))
        yield Daemon(address, fleet, reload, agent)


def _surroundings(settings: Settings, now: WallClock) -> AbstractAsyncContextManager[Surroundings]:
    return alone(settings, now) if settings.cluster is None else clustered(settings, settings.cluster, now)


def _notify(publisher: Publisher, now: WallClock, notice: Notice, detail: str) -> None:
    publisher.notice(notice, now(), detail)


def _read_certificates(fresh: LoadedConfig, trust: Trust, page: SSLContext | None, tls: ListenTls | None) -> None:
    """Those of servers that may be new, and the page's own, which may have been renewed. Raises OSError."""
    trust.prepare(fresh.servers)
    if page is not None and tls is not None:
        load_pair(page, tls)


@asynccontextmanager
async def _reloading(fleet: Fleet, snapshot: Snapshot, reloader: Reloader | None) -> AsyncIterator[Callable[[], None]]:
    """Changes of the files are put in force; gives what asks for it at once."""
    if reloader is None:
        yield lambda: logger.info("these settings come from no file: there is nothing to read again")
        return
    async with in_background(_reload_for_ever(fleet, snapshot, reloader)):
        yield reloader.request


async def _reload_for_ever(fleet: Fleet, snapshot: Snapshot, reloader: Reloader) -> None:
    """The files of a large fleet take a second to be read, which the first verdicts need for themselves."""
    await fleet.wait_started()
    with suppress(TimeoutError):
        async with asyncio.timeout(START_PATIENCE_S):
            while not snapshot.has_first_verdicts:  # noqa: ASYNC110 - a bounded poll
                await asyncio.sleep(START_LOOK_S)
    await reloader.run()
