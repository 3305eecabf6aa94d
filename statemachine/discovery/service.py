"""The discovery: follows every source of the settings, and publishes the servers that their answers make."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from loguru import logger

from statemachine.core.backoff import backoff
from statemachine.core.messages import Message, message
from statemachine.core.ports import Clock
from statemachine.discovery.assembly import Assembly, Counts, renamed_sources
from statemachine.discovery.configs import only_usable
from statemachine.discovery.notices import DiscoveryNotices, Notify
from statemachine.discovery.reconciler import Assigned, Held, Reconciler
from statemachine.discovery.registration import Registrations
from statemachine.discovery.source import Followed, NoPlaceError, NoRegistrationError, SourceError, TargetSource
from statemachine.discovery.store import KnownTargets, TargetStore
from statemachine.discovery.target import MAX_TARGETS, Listing, Target
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.discovery import RegisterSource, Source

SETTLE_S = 0.2
"""Changes within this time are one change of the fleet."""

REST, MOST_REST_S = 10.0, 5.0
"""After a change, none is applied for this many times as long as it took, within a limit: large fleets take longer."""

RETRY_BASE_S, RETRY_LIMIT_S = 1.0, 60.0
AGAIN_S, AGAIN_LIMIT_S = 5.0, 60.0
"""Pause before changes are applied again after a failure; it doubles with each failure."""

SAVE_PAUSE_S = 5.0
"""Least time between two writes of the last known targets."""

NOTED_FAILURES = 3
"""Failures in a row after which a notice is recorded; a source that fails once is asked again soon."""

NewSource = Callable[[Source, Settings], TargetSource]
Apply = Callable[[], Awaitable[None]]


class Discovery:
    """Follow the sources within `run`. `new_source` builds the source of a section; `notify` records a notice."""

    def __init__(self, new_source: NewSource, notify: Notify, store: TargetStore, clock: Clock) -> None:
        self._new_source = new_source
        self._notices = DiscoveryNotices(notify)
        self._store = store
        self._clock = clock
        self._reconciler = Reconciler()
        self._assembly = Assembly(self._reconciler)
        self._followed: dict[str, Followed] = {}
        self._known = KnownTargets()
        self._servers: tuple[ServerConfig, ...] = ()
        self._applied: tuple[ServerConfig, ...] = ()
        self._unapplied = 0
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
        return self._assembly.origin(server)

    async def load(self) -> None:
        """Read the last known targets. Call it before the first `configure`."""
        self._known = await self._store.load()

    def configure(self, settings: Settings, servers: Sequence[ServerConfig]) -> None:
        """Use these settings, whose own servers are `servers`. Sources that do not change keep running.

        Those of them that have failed are asked again at once.
        """
        sources = settings.discovery
        renamed = renamed_sources([one.source for one in self._followed.values()], sources)
        self._assembly.configure(settings, servers, renamed)
        before, self._followed = self._followed, {}
        for source in sources:
            known = before.get(source.name)
            if known is not None and known.source == source:
                self._followed[source.name] = before.pop(source.name)
                known.retry()
            else:
                is_new = known is None and source.name not in renamed
                self._followed[source.name] = self._follow(source, settings, is_new=is_new)
        for one in before.values():
            one.stop()
        self._notices.forget(self._followed)
        self._recompute()
        self._applied = self._servers

    @contextmanager
    def reconfiguring(self) -> Iterator[None]:
        """Call `configure` within the block, and apply the fleet.

        What the sources have changed before is recorded as theirs. If the block fails, it is to be applied again.
        """
        self._recompute()
        before, after = self._applied, self._servers
        try:
            yield
        except Exception:
            self._applied = before
            self._changed.set()
            raise
        if before != after:
            self._notices.changed(before, after)

    async def run(self, apply: Apply) -> None:
        """Follow the sources until cancelled. `apply` makes the present `servers` those of the fleet."""
        self._is_running = True
        for one in self._followed.values():
            self._start(one)
        saving = asyncio.ensure_future(self._keep_saved())
        try:
            while True:
                await self._wait()
                await asyncio.sleep(min(MOST_REST_S, REST * await self._advance(apply)))
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

    @property
    def register_settings(self) -> RegisterSource:
        """The section of that source. Raises NoRegistrationError without one."""
        source = self.register_source.source
        if not isinstance(source, RegisterSource):
            raise NoRegistrationError
        return source

    def register(self, target: Target) -> float:
        """Note that a server has registered; return the seconds until it is to do so again.

        Raises NoRegistrationError if no source accepts it, NameTakenError and NoPlaceError if it cannot be a server of
        the fleet now. It then becomes one when it can.
        """
        followed = self.register_source
        registrations = followed.target_source
        if not isinstance(registrations, Registrations):
            raise NoRegistrationError
        is_noted = registrations.register(target)
        self._assembly.require_place(followed.source, target)
        if not is_noted:
            raise NoPlaceError(MAX_TARGETS)
        return registrations.heartbeat_s

    def counts(self, source: str) -> Counts:
        """Return how many servers of the fleet come from a source."""
        return self._assembly.counts(source)

    def held(self, source: str) -> Held | None:
        """Return why removals of a source are held back, None if they are not."""
        return self._reconciler.held(source)

    def is_https(self, key: str) -> bool:
        """Return whether the server of a key is reached by https."""
        return self._assembly.is_https(key)

    async def _wait(self) -> None:
        """Wait for a change, or until a vanished target, or a notice is due."""
        due = [one for one in (self._reconciler.next_due(_loop_time()), self._notices.next_due) if one is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(due, default=None)):
                await self._changed.wait()
        await asyncio.sleep(SETTLE_S)

    async def _advance(self, apply: Apply) -> float:
        """Remove what is due, and apply the fleet if it has changed; return the seconds that it took."""
        started = _loop_time()
        self._changed.clear()
        self._reconciler.expire(_loop_time())
        self._recompute()
        self._record(_loop_time())
        if self._servers == self._applied or not await self._is_applied(apply):
            return 0.0
        return _loop_time() - started

    def _record(self, now: float) -> None:
        """Record what is held back and what cannot be used."""
        self._assembly.place(self._followed.values())
        for name in self._followed:
            self._notices.held(name, self._reconciler.held(name), now)
        self._notices.refused(self._followed.values(), now)

    async def _is_applied(self, apply: Apply) -> bool:
        """Apply the servers; if that fails, have those of before, to try again after a pause."""
        try:
            await apply()
        except Exception as error:
            self._servers = self._applied
            pause_s = backoff(self._unapplied, AGAIN_S, AGAIN_LIMIT_S, self._clock.uniform)
            self._unapplied += 1
            logger.opt(exception=self._unapplied == 1).error(
                "the discovered servers cannot be applied ({!r}); retrying in {:.0f} s", error, pause_s
            )
            self._notices.not_applied(error)
            await asyncio.sleep(pause_s)
            self._changed.set()
            return False
        self._unapplied = 0
        if self._servers != self._applied:  # a reload may have applied them
            self._notices.changed(self._applied, self._servers)
            self._applied = self._servers
        return True

    def _recompute(self) -> None:
        self._assembly.recompute(self._followed)
        if self._assembly.known != self._known:
            self._known = self._assembly.known
            self._unsaved.set()
        self._servers = self._assembly.servers

    def _follow(self, source: Source, settings: Settings, *, is_new: bool) -> Followed:
        followed = Followed(source, self._new_source(source, settings))
        if is_new:
            targets, members = self._known.targets, self._known.members
            self._reconciler.restore(source.name, targets.get(source.name, ()), members.get(source.name, {}))
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
            pause_s = backoff(max(0, followed.failures - 1), RETRY_BASE_S, RETRY_LIMIT_S, self._clock.uniform)
            await followed.pause(pause_s)

    def _answered(self, followed: Followed, listing: Listing) -> None:
        """Apply a usable answer."""
        listing = only_usable(followed.source, listing, self.is_https)
        failed_before = followed.failures > 0
        refused_before = followed.refused_codes
        followed.succeed(listing, self._clock.now())
        self._notices.answered(followed.source.name)
        has_changed = self._reconciler.update(followed.source.name, listing.targets, _loop_time())
        if has_changed or followed.refused_codes != refused_before:
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
