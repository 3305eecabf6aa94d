"""The composition root: build a daemon, start its parts in order, and stop them in the opposite order."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from ssl import SSLContext

import uvloop
from aiohttp import ClientSession, web
from loguru import logger

from statemachine.alerts.service import AlertService
from statemachine.alerts.store import JournalAlertStore
from statemachine.comfyui.descriptors import BoundedTransport, SocketPlaces
from statemachine.comfyui.fast_websocket import FastConnection
from statemachine.comfyui.large_answers import LargeAnswers
from statemachine.comfyui.network import NetworkTransport, TlsContexts, new_session
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.turns import Turns
from statemachine.comfyui.websocket import TextConnection
from statemachine.core.ports import Clock
from statemachine.daemon.clustered import clustered
from statemachine.daemon.config import SettingsFile, in_effect, load_config
from statemachine.daemon.discovered import DiscoveredFleet
from statemachine.daemon.gc_tuning import short_collections
from statemachine.daemon.logging import configure_logging, redact
from statemachine.daemon.process import allow_descriptors, hold_lock, in_background, new_id, random_source
from statemachine.daemon.reload import Reloader
from statemachine.daemon.rollouts import rollouts_of
from statemachine.daemon.standalone import Backend, standalone
from statemachine.daemon.systemd import ServiceManager, supervised
from statemachine.daemon.upkeep import keep_pruned, keep_series_of_groups, keep_verified
from statemachine.discovery.service import Discovery
from statemachine.discovery.sources import new_source
from statemachine.discovery.store import FileStore, source_ca_files
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import Changes, LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.journal.watched import OpenFile
from statemachine.publish.counters import Counters
from statemachine.repair.hooks import Hooks
from statemachine.repair.port import warn_of_programs
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.expand import bracketed
from statemachine.settings.masking import secrets_in
from statemachine.settings.model import source_groups
from statemachine.settings.running_port import showing_port
from statemachine.settings.tls import load_pair, page_context
from statemachine.traffic.agent import answering_agent_checks
from statemachine.warmth import Warmth
from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

START_PATIENCE_S = 10.0
"""How long reloading waits for the first verdicts: reading the files of a large fleet takes a second."""

START_POLL_S = 0.1


def serve(settings: Settings, source: SettingsFile) -> None:
    """Run the daemon until SIGINT or SIGTERM, and reload when `source` changes or on SIGHUP.

    Raises AlreadyRunningError, DataFolderError, SchemaTooNewError, ClusterUnavailableError or OSError if it cannot.
    """
    configure_logging(settings.logging, secrets_in(settings))
    with short_collections():
        uvloop.run(until_stopped(running_daemon(settings, source)))


async def until_stopped(running: AbstractAsyncContextManager["Daemon"]) -> None:
    """Run the daemon until SIGINT or SIGTERM. A SIGHUP that arrives during the start reloads after it."""
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
    settings: Settings, source: SettingsFile | None = None, now: Callable[[], float] = time.time
) -> AsyncIterator["Daemon"]:
    """Run a daemon within the block. `now` returns the wall clock in epoch seconds.

    Without `source` the settings cannot be reloaded.
    """
    clock = Clock(now=now, uniform=random_source(), new_id=new_id)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(hold_lock(settings.data_dir))
        backend = await stack.enter_async_context(_backend(settings, clock, lock))
        loaded = _first_config(settings)
        discovery = Discovery(new_source, backend.recorder.notice, FileStore(settings.data_dir), clock)
        await discovery.load()
        discovered = DiscoveredFleet(loaded, discovery)
        descriptors = allow_descriptors(len(discovered.config.servers))
        session = await stack.enter_async_context(new_session(descriptors.requests, keep_alive=descriptors.fits))
        redact(loaded.all_secrets)
        daemon = Daemon(discovered, clock, backend, session, SocketPlaces(descriptors.sockets))
        await daemon.start(stack, source, lock)
        yield daemon


class Daemon:
    """All parts of a daemon. `address` is the page's, without a trailing slash; `agent` that of the agent checks."""

    address: str
    agent: tuple[str, int] | None
    reload: Callable[[], None]

    def __init__(
        self, discovered: DiscoveredFleet, clock: Clock, backend: Backend, session: ClientSession, places: SocketPlaces
    ) -> None:
        config = discovered.config
        self._discovered = discovered
        self._started_with = settings = config.settings
        self._clock = clock
        self._backend = backend
        self._session = session
        self._places = places
        self._large_answers = LargeAnswers()
        self._tls = TlsContexts()
        self._turns = Turns()
        self._applying = asyncio.Lock()
        self._allowed_for = len(config.servers)
        self._tls.trust(source_ca_files(settings))
        self._tls.load(config.servers)
        self._page_tls = page_context(settings.listen.tls) if settings.listen.tls else None
        self._manager = ServiceManager.of(os.environ)
        self._counters = Counters()
        self._warmth = Warmth(backend.journal, backend.snapshot, clock.now)
        self._alerts = AlertService(
            backend.snapshot, JournalAlertStore(backend.journal), self._counters, clock, backend.is_alert_leader
        )
        self.fleet = ManagedFleet(
            config,
            FleetPorts(
                clock=clock,
                journal=backend.journal,
                recorder=backend.recorder,
                permits=backend.permits,
                publisher=backend.publisher,
                transport_for=self._transport_for,
                ownership=backend.ownership,
                counters=self._counters,
                hooks=Hooks(self._tls.context, lambda: self.config.all_secrets),
                claims=backend.claims,
            ),
        )

    @property
    def config(self) -> LoadedConfig:
        """The active configuration."""
        return self.fleet.config

    async def start(self, stack: AsyncExitStack, source: SettingsFile | None, lock: OpenFile) -> None:
        """Start every part; `stack` stops them in the opposite order."""
        settings, backend = self._started_with, self._backend
        await stack.enter_async_context(self._warmth.following())
        await stack.enter_async_context(self._alerts.running(settings, backend.bus, self._discovered.names))
        operator = await backend.operator_over(self.fleet)
        rollouts = rollouts_of(backend, operator, self._clock, lambda: self.config.servers)
        ports = WebPorts(
            snapshot=backend.snapshot,
            bus=backend.bus,
            journal=backend.journal,
            operator=operator,
            now=self._clock.now,
            warmth=self._warmth,
            rollouts=rollouts,
            counters=self._counters,
            owns=backend.ownership.owns,
            workflows=lambda: self.config.workflows,
            target_wait_s=settings.traffic.target_wait_s,
            groups=lambda: source_groups(self.config.settings),
            alerts=self._alerts.overview,
            discovery=self._discovered.discovery,
        )
        warn_of_programs(self.config.servers)
        self.fleet.show()
        self.address = await stack.enter_async_context(_web_side(settings, ports, self._page_tls, lock))
        stack.push_async_callback(self.fleet.stop)
        await self.fleet.start()
        await stack.enter_async_context(in_background(rollouts.run()))
        self.agent = await stack.enter_async_context(
            answering_agent_checks(settings.traffic, backend.snapshot, self._clock.now)
        )
        for work in (
            keep_pruned(backend.journal, lambda: self.config, self._clock.now),
            keep_series_of_groups(self._counters, lambda: self.config),
            keep_verified(backend.journal),
        ):
            await stack.enter_async_context(in_background(work))
        await stack.enter_async_context(in_background(self._discover()))
        self.reload = await stack.enter_async_context(self._reloading(source))
        await stack.enter_async_context(supervised(self._manager, backend.journal.ping, backend.snapshot.summary))

    async def apply(self, config: LoadedConfig) -> Changes:
        """Make `config` the active one, but for what only a start changes, with the servers that its sources make.

        Raises OSError, before anything changes, if a certificate cannot be read.
        """
        redact([*secrets_in(self._started_with), *self.config.all_secrets, *config.all_secrets])
        config = replace(config, settings=in_effect(self._started_with, config.settings))
        async with self._applying:
            await asyncio.to_thread(self._read_certificates, config)
            with self._discovered.reloading(config) as changes:
                await self._apply_fleet()
            warn_of_programs(config.servers)
            self._alerts.apply(config.settings, self._discovered.names)
            return changes

    async def _discover(self) -> None:
        """Follow the sources, once the servers of the start have been started."""
        await self.fleet.wait_started()
        await self._discovered.discovery.run(self._apply_discovered)

    async def _apply_discovered(self) -> None:
        """Make the servers of the sources, which have changed, part of the fleet."""
        async with self._applying:
            # In a cluster another node's sources may still name the server.
            await self._apply_fleet(ends_pauses=self.config.settings.cluster is None)
            self._alerts.set_discovered(self._discovered.names)

    async def _apply_fleet(self, *, ends_pauses: bool = False) -> None:
        config, before = self._discovered.config, self.config
        known = {one.name: one for one in before.servers}
        await asyncio.to_thread(self._tls.renew, [one for one in config.servers if known.get(one.name) is not one])
        if len(config.servers) > self._allowed_for:
            self._allowed_for = round(len(config.servers) * 1.1)  # warn of a tenth more, not of each server
            allow_descriptors(len(config.servers))
        await self.fleet.apply(config, ends_pauses=ends_pauses)

    def _transport_for(self, server: ServerConfig) -> Transport:
        transport = NetworkTransport(
            self._session,
            server.url,
            server.headers,
            lambda: self.config.settings.timing.http_timeout_s,
            self._tls.context(server),
            FastConnection if self._started_with.fast_frames else TextConnection,
            self.config.secrets(server),
            self._large_answers,
            self._turns,
        )
        return BoundedTransport(transport, self._places)

    def _read_certificates(self, config: LoadedConfig) -> None:
        """Read those of the servers, which may be new, and the page's own, which may have been renewed."""
        self._tls.load(config.servers)
        self._tls.trust(source_ca_files(config.settings))
        if self._page_tls is not None and self._started_with.listen.tls is not None:
            load_pair(self._page_tls, self._started_with.listen.tls)

    @asynccontextmanager
    async def _reloading(self, source: SettingsFile | None) -> AsyncIterator[Callable[[], None]]:
        """Apply changes of the files within the block; yield the function that requests a reload."""
        if source is None:
            yield lambda: logger.info("these settings come from no file; there is nothing to reload")
            return
        reloader = Reloader(source, lambda: self.config, self.apply, self._backend.recorder.notice, self._manager)
        async with in_background(self._reload_after_start(reloader)):
            yield reloader.request

    async def _reload_after_start(self, reloader: Reloader) -> None:
        await self.fleet.wait_started()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE_S):
                while not self._backend.snapshot.has_first_verdicts:  # noqa: ASYNC110 - a bounded poll
                    await asyncio.sleep(START_POLL_S)
        await reloader.run()


def _backend(settings: Settings, clock: Clock, lock: OpenFile) -> AbstractAsyncContextManager[Backend]:
    if settings.cluster is None:
        return standalone(settings, clock, lock)
    return clustered(settings, settings.cluster, clock, lock)


def _first_config(settings: Settings) -> LoadedConfig:
    """Read the files. A workflow file that cannot be used stops only the servers that need it."""
    config = load_config(settings)
    for broken in config.broken:
        logger.error("{}; the servers that need it will be failed", broken)
    for name in config.bundled:
        logger.info("workflow {}: {} has no {}.json, so the bundled one is used", name, settings.workflows_dir, name)
    return config


@asynccontextmanager
async def _web_side(settings: Settings, ports: WebPorts, tls: SSLContext | None, lock: OpenFile) -> AsyncIterator[str]:
    """Listen for HTTP within the block, and show the port in the lock; yield the address."""
    listen = settings.listen
    hosts = (listen.host, *listen.hosts)
    app = build_app(ports, token=listen.token, tokens=listen.tokens, language=settings.language, hosts=hosts)
    runner = build_runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port, ssl_context=tls).start()
        host, port = runner.addresses[0][:2]
        with showing_port(lock.descriptor, port):
            yield f"{'https' if tls else 'http'}://{bracketed(host)}:{port}"
    finally:
        await runner.cleanup()
