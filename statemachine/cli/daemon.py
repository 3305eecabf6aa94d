"""The composition root: everything is made here, handed to what needs it, and taken down in the opposite order."""

import asyncio
import random
import signal
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvloop
from aiohttp import ClientSession, web
from loguru import logger

from statemachine.cli.lock import locked
from statemachine.cli.logs import configure_logging
from statemachine.cli.workflow_files import load_workflows
from statemachine.comfyui.network import NetworkTransport, new_session
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.budgets import Budget
from statemachine.core.herd import HerdBrake
from statemachine.core.vocabulary import Notice
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
from statemachine.settings import ServerConfig, Settings, resolve_servers
from statemachine.web.app import build_app, build_runner
from statemachine.web.ports import WebPorts

Clock = Callable[[], float]

PRUNE_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon. `address` is that of its web side, without a trailing slash."""

    address: str
    fleet: Fleet


def serve(settings: Settings) -> None:
    """Run the daemon until SIGINT or SIGTERM.

    Raises AlreadyRunningError, SchemaTooNewError or OSError where it cannot start.
    """
    configure_logging(settings.logging)
    uvloop.run(until_stopped(running_daemon(settings)))


async def until_stopped(running: AbstractAsyncContextManager[Daemon]) -> None:
    """Enter the daemon, say where its page is, and leave it on SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running as daemon:
        logger.info("the page is at {}/status", daemon.address)
        await stop.wait()
        logger.info("stopping")


@asynccontextmanager
async def running_daemon(settings: Settings, now: Clock = time.time) -> AsyncIterator[Daemon]:
    """A daemon, from its lock to its last journal entry. `now` is the wall clock, in epoch seconds."""
    async with AsyncExitStack() as stack:
        stack.enter_context(locked(settings.data_dir))
        journal = await stack.enter_async_context(_open_journal(settings.data_dir / JOURNAL_FILE, now))
        session = await stack.enter_async_context(new_session())
        snapshot, bus = Snapshot(), Bus()
        publisher = Publisher(journal, snapshot, bus, TransitionLog())
        journal.on_health = partial(_tell_health, publisher, now)
        await journal.open()
        fleet = _fleet(settings, journal, publisher, session, now)
        ports = WebPorts(snapshot=snapshot, bus=bus, journal=journal, operator=fleet, now=now)
        address = await stack.enter_async_context(_web_side(settings, ports))
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        _keep_running(stack, _prune(settings, journal, now))
        yield Daemon(address, fleet)


def _fleet(settings: Settings, journal: Journal, publisher: Publisher, session: ClientSession, now: Clock) -> Fleet:
    servers = resolve_servers(settings)
    shared = Shared(
        settings=settings,
        world=World(now=now, uniform=random.SystemRandom().random, new_id=lambda: str(uuid.uuid4())),
        journal=journal,
        permits=Permits(Budget(settings.limits.max_warming, settings.limits.max_warming_per_host)),
        check_slots=asyncio.Semaphore(settings.limits.max_checks),
        herd=HerdCare(HerdBrake(), lambda notice: publisher.notice(notice, now())),
    )
    timeout_s = settings.timing.http_timeout_s
    return Fleet(
        servers,
        _load_workflows(settings, servers),
        shared,
        publisher,
        lambda config: NetworkTransport(session, config.url, config.headers, timeout_s),
    )


def _load_workflows(settings: Settings, servers: Sequence[ServerConfig]) -> dict[str, Workflow | WorkflowError]:
    """A file that cannot be used stops only the servers that need it."""
    workflows = load_workflows(settings, servers)
    for broken in workflows.values():
        if isinstance(broken, WorkflowError):
            logger.error("{}; the servers that need it will be failed", broken)
    return workflows


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
async def _web_side(settings: Settings, ports: WebPorts) -> AsyncIterator[str]:
    """The listening web side; gives its address."""
    app = build_app(ports, token=settings.listen.token, language=settings.language)
    runner = build_runner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.listen.host, settings.listen.port).start()
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _tell_health(publisher: Publisher, now: Clock, healthy: bool) -> None:
    publisher.notice(Notice.JOURNAL_AVAILABLE if healthy else Notice.JOURNAL_UNAVAILABLE, now())


def _keep_running(stack: AsyncExitStack, work: Awaitable[None]) -> None:
    task = asyncio.ensure_future(work)
    stack.callback(task.cancel)


async def _prune(settings: Settings, journal: Journal, now: Clock) -> None:
    """Keep the journal within its bounds, in the background."""
    max_age_s = settings.journal.max_age_days * 86_400.0
    while True:
        oldest = now() - max_age_s
        with suppress(JournalUnavailableError):
            await journal.read(partial(JournalStore.prune, older_than=oldest, keep=settings.journal.max_transitions))
        await asyncio.sleep(PRUNE_EVERY_S)
