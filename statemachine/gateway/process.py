"""The gateway's composition root: build its parts, start them in order, and stop them in the opposite order."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

import uvloop
from aiohttp import web
from loguru import logger

from statemachine.comfyui.network import TlsContexts, tls_contexts
from statemachine.daemon.logging import configure_logging
from statemachine.daemon.process import hold_lock, in_background
from statemachine.discovery.store import known_servers, source_ca_files
from statemachine.gateway.app import build_app
from statemachine.gateway.client_ws import ClientWs
from statemachine.gateway.clients import LOCAL, Clients
from statemachine.gateway.daemon_feed import DaemonFeed, OpenSource
from statemachine.gateway.decisions import Decisions, Reporting
from statemachine.gateway.delivery import FrameDelivery
from statemachine.gateway.files import Files
from statemachine.gateway.finder import Finder
from statemachine.gateway.fleet_follower import FleetFollower
from statemachine.gateway.fleet_view import FleetView
from statemachine.gateway.learned_choice import LearnedChoice, LoaderClasses
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.links import Links
from statemachine.gateway.metrics import GatewayCollector, GatewayMetrics, build_registry
from statemachine.gateway.metrics_route import GatewayMetricsHandler
from statemachine.gateway.moving import Moving
from statemachine.gateway.relay import Passing
from statemachine.gateway.results import Results
from statemachine.gateway.shared_uploads import SharedUploads
from statemachine.gateway.sockets import Sockets
from statemachine.gateway.stopping import Stopping
from statemachine.gateway.submission import Submission
from statemachine.gateway.tracking import USUAL_TIMES, Tracker, TrackingTimes
from statemachine.gateway.uploads import Uploads
from statemachine.gateway.upstream import Upstream, new_session
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.expand import bracketed
from statemachine.settings.listen import GatewaySettings
from statemachine.settings.masking import Mask, secrets_in
from statemachine.web.app import build_runner

UPLOADS = "uploads"
MIB = 1024 * 1024


def serve(settings: Settings, gateway: GatewaySettings, daemon: OpenSource) -> None:
    """Run the gateway until SIGINT or SIGTERM.

    Raises AlreadyRunningError, DataFolderError or OSError if it cannot.
    """
    configure_logging(settings.logging.model_copy(update={"file": None}), secrets_in(settings))
    uvloop.run(_until_stopped(settings, gateway, daemon))


async def _until_stopped(settings: Settings, gateway: GatewaySettings, daemon: OpenSource) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running_gateway(settings, gateway, daemon) as running:
        logger.info("the gateway is at {}", running.address)
        await stop.wait()
        logger.info("stopping")


@asynccontextmanager
async def running_gateway(
    settings: Settings, gateway: GatewaySettings, daemon: OpenSource, times: TrackingTimes = USUAL_TIMES
) -> AsyncIterator["RunningGateway"]:
    """Run a gateway within the block. `daemon` opens the API of the daemon."""
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_lock(gateway.data_dir))
        running = RunningGateway(settings, gateway)
        await running.start(stack, daemon, times)
        yield running


class Forgetful(Protocol):
    """Knows something of each server."""

    def forget(self, server: str) -> None:
        """Forget a server that has left."""
        ...


class RunningGateway:
    """All parts of a gateway. `address` is its own, without a trailing slash."""

    address: str

    def __init__(self, settings: Settings, gateway: GatewaySettings) -> None:
        self._gateway = gateway
        self._servers = known_servers(settings)
        self._settings = settings
        self.classes = LoaderClasses()
        self.view = FleetView(self._servers, LearnedChoice(classes=self.classes))
        self.ledger = Ledger(gateway.data_dir)
        self.sockets = Sockets()
        self._decisions = Decisions(Mask(secrets_in(settings)))
        self._metrics = GatewayMetrics(gateway.tokens or (LOCAL,), [server.name for server in self._servers])
        self.clients = Clients(gateway.tokens, self._metrics)
        self.uploads = Uploads(gateway.data_dir / UPLOADS, gateway.max_upload_mb * MIB)

    async def start(self, stack: AsyncExitStack, daemon: OpenSource, times: TrackingTimes) -> None:
        """Start every part; `stack` stops them in the opposite order."""
        stack.callback(self.ledger.close)
        session = await stack.enter_async_context(new_session())
        tls = tls_contexts(self._servers)
        tls.trust(source_ca_files(self._settings))
        upstream = Upstream(session, tls)
        soon: set[str] = set()
        delivery = FrameDelivery(self.ledger, self.view, self.sockets, soon.add, self._metrics)
        links = Links(
            upstream,
            self.ledger.link_id,
            delivery.receive,
            delivery.receive_binary,
            soon.add,
            self._note_disconnected,
        )
        tracker = Tracker(self.ledger, self.view, upstream, delivery, links.open_since, links.reopen, soon, times)
        finder = Finder(self.ledger, self.view, upstream)
        app, moving = self._app(upstream, delivery, tracker, links, finder)
        feed = DaemonFeed(daemon, self.view)
        parts = (delivery, tracker, finder, moving, self.uploads)
        follower = self._follower(tls, links, feed, parts, times.follow_s)
        reporting = Reporting(daemon, self._decisions)
        for work in (
            links.run(self._servers),
            feed.run(),
            follower.run(),
            tracker.run(),
            moving.run(),
            reporting.run(),
            self.classes.run(self.view, upstream),
        ):
            await stack.enter_async_context(in_background(work))
        self.address = await stack.enter_async_context(self._listening(app))

    def _follower(
        self, tls: TlsContexts, links: Links, feed: DaemonFeed, parts: Sequence[Forgetful], pause_s: float
    ) -> FleetFollower:
        """Return what makes servers that the daemon discovers servers of the gateway."""

        async def use(servers: Sequence[ServerConfig], left: Set[str]) -> None:
            names = {one.name: one for one in servers}
            gone = [one.name for one in self.view if one.name not in names]
            replaced = [one.name for one in self.view if one.name in names and names[one.name] != one.config]
            self.view.set_servers(servers, left)
            links.set_servers(servers)
            self._metrics.set_servers(names.keys())
            for part in parts:
                for name in gone:
                    part.forget(name)
            for name in replaced:
                self.uploads.forget(name)
            await feed.read()

        return FleetFollower(
            self._settings,
            tls,
            lambda: [one.config for one in self.view],
            self.ledger.open_servers,
            feed.read,
            use,
            pause_s,
        )

    def _note_disconnected(self, server: str) -> None:
        self.view.note_disconnected(server)
        self._metrics.server_lost(server)

    def _app(
        self, upstream: Upstream, delivery: FrameDelivery, tracker: Tracker, links: Links, finder: Finder
    ) -> tuple[web.Application, Moving]:
        """Return the web application, and what moves the prompts that it has accepted."""
        gateway = self._gateway
        clients, uploads = self.clients, self.uploads
        shared = SharedUploads(uploads, self.view, upstream)
        results = Results(self.ledger, self.view, upstream, finder)
        submission = Submission(
            self.ledger,
            self.view,
            upstream,
            finder,
            tracker,
            delivery,
            uploads,
            shared,
            gateway.max_prompts,
            self._decisions,
            self._metrics,
        )
        handlers = (
            results,
            Stopping(self.ledger, self.view, upstream, finder, tracker),
            Files(self.view, upstream, finder, results, uploads, shared),
            Passing(self.view, upstream),
            ClientWs(clients, self.sockets, delivery, finder),
        )
        routes = [route for handler in handlers for route in handler.routes()]
        registry = build_registry(self._metrics, GatewayCollector(self.ledger, self.view, self.sockets))
        figures = GatewayMetricsHandler(registry, self._settings.listen.reading)
        moving = Moving(self.ledger, self.view, upstream, tracker, delivery, submission, links.open_since)
        return build_app(clients, submission, routes, figures, (gateway.host, *gateway.hosts)), moving

    @asynccontextmanager
    async def _listening(self, app: web.Application) -> AsyncIterator[str]:
        async def end_sockets(_app: web.Application) -> None:
            self.sockets.close_all()

        app.on_shutdown.append(end_sockets)
        runner = build_runner(app, reads_bodies=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._gateway.host, self._gateway.port).start()
            host, port = runner.addresses[0][:2]
            yield f"http://{bracketed(host)}:{port}"
        finally:
            await runner.cleanup()
