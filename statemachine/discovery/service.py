"""The discovery: follows every source of the settings, and publishes the servers that their answers make."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from loguru import logger

from statemachine.core.backoff import backoff
from statemachine.core.messages import Message, message
from statemachine.core.ports import Clock
from statemachine.discovery.configs import DiscoveredConfigs, only_usable
from statemachine.discovery.errors import NoRegistrationError, SourceError
from statemachine.discovery.followed import Followed
from statemachine.discovery.notices import DiscoveryNotices, Notify
from statemachine.discovery.reconciler import Assigned, ReconciledFleet, Reconciler, SourceRules
from statemachine.discovery.registration import Registrations
from statemachine.discovery.source import TargetSource
from statemachine.discovery.store import KnownTargets, TargetStore
from statemachine.discovery.target import Listing, Target, address_key
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.discovery import Source
from statemachine.settings.expand import MAX_SERVERS

SETTLE_S = 0.2
"""Changes within this time are one change of the fleet."""

REST = 10.0
"""After a change, none is applied for this many times as long as it took: large fleets take longer."""

RETRY_BASE_S, RETRY_LIMIT_S = 1.0, 60.0
APPLY_RETRY_S = 5.0
SAVE_PAUSE_S = 5.0
"""Least time between two writes of the last known targets."""

NOTED_FAILURES = 3
"""Failures in a row after which a notice is recorded; a source that fails once is asked again soon."""

NewSource = Callable[[Source, Settings], TargetSource]
Apply = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Servers of the fleet that come from a source, and targets that it no longer lists."""

    servers: int
    missing: int


class Discovery:
    """Follow the sources within `run`. `new_source` builds the source of a section; `notify` records a notice."""

    def __init__(self, new_source: NewSource, notify: Notify, store: TargetStore, clock: Clock) -> None:
        self._new_source = new_source
        self._notices = DiscoveryNotices(notify)
        self._store = store
        self._clock = clock
        self._reconciler = Reconciler()
        self._configs = DiscoveredConfigs()
        self._followed: dict[str, Followed] = {}
        self._per_source = Counter[str]()
        self._taken: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()
        self._room = MAX_SERVERS
        self._fleet = ReconciledFleet(())
        self._known: KnownTargets = {}
        self._servers: tuple[ServerConfig, ...] = ()
        self._origins: dict[str, Assigned] = {}
        self._changed = asyncio.Event()
        self._is_running = False
        self._unsaved = asyncio.Event()

    @property
    def servers(self) -> tuple[ServerConfig, ...]:
        """The servers that the sources make, in a stable order."""
        return self._servers

    @property
    def followed(self) -> Sequence[Followed]:
        """The sources, in the order of the settings."""
        return list(self._followed.values())

    def origin(self, server: str) -> Assigned | None:
        """Return where a server comes from, None if it is in the settings."""
        return self._origins.get(server)

    async def load(self) -> None:
        """Read the last known targets. Call it before the first `configure`."""
        self._known = await self._store.load()

    def configure(self, settings: Settings, servers: Sequence[ServerConfig]) -> None:
        """Use these settings, whose own servers are `servers`. Sources that do not change keep running."""
        self._taken = frozenset(address_key(one.url) for one in servers), frozenset(one.name for one in servers)
        self._room = MAX_SERVERS - len(servers)
        self._configs.configure(settings)
        self._reconciler.set_sources([SourceRules.of(one) for one in settings.discovery])
        before, self._followed = self._followed, {}
        for source in settings.discovery:
            known = before.get(source.name)
            if known is not None and known.source == source:
                self._followed[source.name] = before.pop(source.name)
            else:
                self._followed[source.name] = self._follow(source, settings, is_new=known is None)
        for one in before.values():
            one.stop()
        self._recompute()

    async def run(self, apply: Apply) -> None:
        """Follow the sources until cancelled. `apply` makes the present `servers` those of the fleet."""
        self._is_running = True
        for one in self._followed.values():
            self._start(one)
        saving = asyncio.ensure_future(self._keep_saved())
        try:
            while True:
                await self._wait()
                await asyncio.sleep(REST * await self._advance(apply))
        finally:
            self._is_running = False
            saving.cancel()
            for one in self._followed.values():
                one.stop()
            tasks = [one.task for one in self._followed.values() if one.task is not None]
            await asyncio.gather(saving, *tasks, return_exceptions=True)
            await self._save()

    @property
    def register_source(self) -> Followed:
        """The source at which servers register themselves. Raises NoRegistrationError without one."""
        for one in self._followed.values():
            if isinstance(one.target_source, Registrations):
                return one
        raise NoRegistrationError

    def register(self, target: Target) -> float:
        """Note that a server has registered; return the seconds until it is to do so again.

        Raises NoRegistrationError if no source accepts it.
        """
        registrations = self.register_source.target_source
        if not isinstance(registrations, Registrations) or not registrations.register(target):
            raise NoRegistrationError
        return registrations.heartbeat_s

    def counts(self, source: str) -> Counts:
        """Return how many servers of the fleet come from a source."""
        return Counts(self._per_source[source], self._reconciler.missing(source))

    async def _wait(self) -> None:
        """Wait for a change, or until a vanished target is due."""
        due = self._reconciler.next_due(_loop_time())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._changed.wait()
        await asyncio.sleep(SETTLE_S)

    async def _advance(self, apply: Apply) -> float:
        """Remove what is due, and apply the fleet if it has changed; return the seconds that it took."""
        started = _loop_time()
        self._changed.clear()
        self._reconciler.expire(_loop_time())
        before = self._servers
        self._recompute()
        for one in self._followed.values():
            self._notices.held(one, self._reconciler.held(one.source.name))
        self._notices.refused(self._followed.values(), self._fleet)
        if self._servers == before or not await self._is_applied(apply, before):
            return 0.0
        self._notices.changed(before, self._servers)
        return _loop_time() - started

    async def _is_applied(self, apply: Apply, before: tuple[ServerConfig, ...]) -> bool:
        """Apply the servers; if that fails, have those of before, to try again after a pause."""
        try:
            await apply()
        except Exception as error:
            logger.exception("the discovered servers cannot be applied; retrying in {:.0f} s", APPLY_RETRY_S)
            self._servers = before
            self._notices.not_applied(error)
            await asyncio.sleep(APPLY_RETRY_S)
            self._changed.set()
            return False
        return True

    def _recompute(self) -> None:
        self._fleet = self._reconciler.fleet(*self._taken, self._room)
        servers = self._configs.build(self._fleet.servers)
        if servers != self._servers:
            self._servers = servers
        self._origins = {one.name: one for one in self._fleet.servers}
        self._per_source = Counter(one.source for one in self._fleet.servers)
        known = {name: self._reconciler.targets(name) for name in self._followed}
        if known != self._known:
            self._known = known
            self._unsaved.set()

    def _follow(self, source: Source, settings: Settings, *, is_new: bool) -> Followed:
        followed = Followed(source, self._new_source(source, settings))
        if is_new:
            self._reconciler.restore(source.name, self._known.get(source.name, ()))
        if isinstance(followed.target_source, Registrations):
            followed.target_source.restore(self._reconciler.targets(source.name))
        if self._is_running:
            self._start(followed)
        return followed

    def _start(self, followed: Followed) -> None:
        followed.task = asyncio.get_running_loop().create_task(self._keep_following(followed))

    async def _keep_following(self, followed: Followed) -> None:
        """Run the source; after a failure again, less and less often."""
        while True:
            try:
                await followed.target_source.run(partial(self._answered, followed))
            except SourceError as error:
                self._failed(followed, error.message)
            except Exception as error:
                logger.exception("internal error in the source {}", followed.source.name)
                self._failed(followed, message("internal_error", error=type(error).__name__))
            await asyncio.sleep(
                backoff(max(0, followed.failures - 1), RETRY_BASE_S, RETRY_LIMIT_S, self._clock.uniform)
            )

    def _answered(self, followed: Followed, listing: Listing) -> None:
        """Apply a usable answer."""
        listing = only_usable(followed.source, listing)
        failed_before, recovers = followed.failures > 0, followed.failures >= NOTED_FAILURES
        followed.succeed(listing.refusals, self._clock.now())
        if recovers and not any(one.failures >= NOTED_FAILURES for one in self._followed.values()):
            self._notices.recovered(followed.source.name)
        if self._reconciler.update(followed.source.name, listing.targets, _loop_time()) or listing.refusals:
            self._changed.set()
        elif failed_before:
            self._changed.set()  # what had vanished before the failure may be due by now

    def _failed(self, followed: Followed, why: Message) -> None:
        followed.fail(why)
        self._reconciler.fail(followed.source.name)
        logger.warning("source {}: {}", followed.source.name, SourceError(why))
        if followed.failures == NOTED_FAILURES:
            self._notices.failed(followed.source.name, why)

    async def _keep_saved(self) -> None:
        while True:
            await self._unsaved.wait()
            await self._save()
            await asyncio.sleep(SAVE_PAUSE_S)

    async def _save(self) -> None:
        if self._unsaved.is_set():
            self._unsaved.clear()
            await self._store.save(self._known)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
