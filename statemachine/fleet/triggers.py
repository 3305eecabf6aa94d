"""What asks for a restart by itself: a server that runs nothing any more, its memory, its age, a schedule."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from statemachine.comfyui.errors import ComfyError
from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.restart import DAY_S, Restart, RestartCause, recent
from statemachine.core.standstill import NO_STANDSTILL, QueueLook, Standstill
from statemachine.core.vocabulary import State
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.settings.cron import last_start
from statemachine.settings.restarts import RestartSettings

LOOK_S = 30.0
"""The longest pause between two looks at one server. A tenth of `warm_timeout_s`, if that is less."""

MEMORY_LOOKS = 2
"""Looks in a row at which too much memory must be in use."""

IDLE_STATES = frozenset({State.PAUSED, State.DRAINING, State.RESTARTING, State.UNREACHABLE})
"""States in which no trigger looks: the server is out of service, or does not answer."""

Finding = tuple[RestartCause, Message]


@dataclass(slots=True)
class _Watch:
    """What the looks at one server have shown. `began_at` is loop time, `followed_since` epoch seconds."""

    context: ServerContext
    began_at: float = field(default_factory=loop_time)
    followed_since: float = field(init=False)
    standstill: Standstill = NO_STANDSTILL
    memory_looks: int = 0

    def __post_init__(self) -> None:
        self.followed_since = self.context.fleet.clock.now()

    @property
    def settings(self) -> RestartSettings:
        """How the server is restarted."""
        return self.context.config.restart

    async def finding(self) -> Finding | None:
        """Look once; return what asks for a restart. A look that brings no answer shows nothing."""
        looks: tuple[tuple[object, Callable[[], Awaitable[Finding | None]]], ...] = (
            (self.settings.when_stuck, self._stuck),
            (self.settings.max_ram_percent, self._memory),
            (self.settings.max_age, self._age),
            (self.settings.schedule, self._schedule),
        )
        for wanted, look in looks:
            if wanted:
                try:
                    found = await look()
                except ComfyError:
                    continue
                if found is not None:
                    return found
        return None

    async def _stuck(self) -> Finding | None:
        if self.context.server.queue_remaining == 0:
            self.standstill = NO_STANDSTILL
            return None
        self.standstill = self.standstill.after(await self._look_at_queue())
        why = self.standstill.diagnosis(self.context.fleet.settings.timing.warm_timeout_s)
        return None if why is None else (RestartCause.STUCK, message("restart_for_stuck", cause=why))

    async def _look_at_queue(self) -> QueueLook:
        context, attempt = self.context, self.context.server.open_attempt
        listing = await context.client.queue()
        listing.raise_if_incomplete()
        ours = attempt is not None and any(item.is_of(attempt) for item in listing.running)
        age_s = context.fleet.clock.now() - attempt.last_progress_at if ours and attempt is not None else None
        return QueueLook(
            loop_time(),
            tuple(item.prompt_id for item in listing.running),
            tuple(item.prompt_id for item in listing.pending),
            await self._worker_alive(),
            await self._devices() if listing.running and not ours else None,
            None if age_s is None else loop_time() - age_s,
        )

    async def _worker_alive(self) -> bool | None:
        """Return what the companion node reports of the worker, None without a node that does."""
        if self.context.server.node_cursor is None:
            return None
        try:
            return await self.context.check.worker_alive()
        except ComfyError:
            return None

    async def _devices(self) -> tuple[tuple[int | None, ...], ...] | None:
        """Return the memory figures of the devices that compute, None if the server reports none."""
        stats = await self.context.client.system_stats()
        devices = stats.get("devices")
        if not isinstance(devices, list) or not devices:
            return None
        figures = ("vram_free", "torch_vram_free", "torch_vram_total")
        return tuple(tuple(one.get(name) for name in figures) for one in devices if isinstance(one, dict))

    async def _memory(self) -> Finding | None:
        """Return the finding if too much memory of the host is in use at several looks in a row."""
        used, limit = _ram_percent(await self.context.client.system_stats()), self.settings.max_ram_percent
        if used is None or limit is None or used < limit:
            self.memory_looks = 0
            return None
        self.memory_looks += 1
        why = message("restart_for_memory", used=round(used, 1), limit=limit)
        return (RestartCause.MEMORY, why) if self.memory_looks >= MEMORY_LOOKS else None

    async def _age(self) -> Finding | None:
        """Return the finding if the last restart, or the begin of this watch, is long ago."""
        limit_s, restart = self.settings.max_age_s, self.context.server.restart
        age_s = loop_time() - self.began_at
        if restart is not None and restart.hooks:
            age_s = self.context.fleet.clock.now() - restart.hooks[-1]
        if limit_s is None or age_s < limit_s:
            return None
        return RestartCause.AGE, message("restart_for_age", age=self.settings.max_age or "")

    async def _schedule(self) -> Finding | None:
        """Return the finding if a time of the schedule has come since the last restart, and since this watch began."""
        settings, restart = self.settings, self.context.server.restart
        if settings.schedule is None:
            return None
        since = max(self.followed_since, restart.requested_at if restart is not None else 0.0)
        if last_start(settings.schedule, settings.time_zone, self.context.fleet.clock.now()) <= since:
            return None
        why = message("restart_for_schedule", cron=settings.schedule, zone=settings.time_zone)
        return RestartCause.SCHEDULE, why


async def watch(context: ServerContext) -> None:
    """Look at the server until cancelled, and request a restart when a trigger asks for one."""
    seen = _Watch(context)
    while True:
        pause_s = min(LOOK_S, context.fleet.settings.timing.warm_timeout_s / 10.0)
        await asyncio.sleep(pause_s * (0.5 + 0.5 * context.fleet.clock.uniform()))
        server = context.server
        if server.state in IDLE_STATES or server.open_restart is not None:
            seen.standstill, seen.memory_looks = NO_STANDSTILL, 0
            continue
        if (found := await seen.finding()) is not None:
            _request(context, *found)


def _request(context: ServerContext, cause: RestartCause, why: Message) -> None:
    """Request a restart unless the last one is too recent, or there were too many within a day.

    Only a stuck server is failed then. One that works goes on, and waits for the next day: much memory in use may be
    another program's.
    A server that works waits until no other of its group is being restarted.
    """
    settings, restart, now = context.config.restart, context.server.restart, context.fleet.clock.now()
    if restart is not None and now - (restart.ended_at or restart.requested_at) < _pause_s(settings, restart):
        return
    hooks = recent(restart.hooks, now) if restart is not None else ()
    if len(hooks) >= settings.max_per_day:
        if cause is RestartCause.STUCK:
            context.post(events.RestartLimitReached(message("restart_limit", why=why, count=len(hooks))))
        return
    if cause is RestartCause.STUCK or not context.fleet.is_restarting(context.config.group):
        context.post(events.RestartRequested(context.fleet.clock.new_id(), cause, message=why))


def _pause_s(settings: RestartSettings, restart: Restart) -> float:
    """Return the pause after the last restart. It is longer if no hook was run: drains must not repeat all day."""
    ran = restart.hook_started_at is not None
    return settings.min_pause_s if ran else max(settings.min_pause_s, DAY_S / settings.max_per_day)


def _ram_percent(stats: dict[str, object]) -> float | None:
    """Return how much of the host's memory is in use, None if the server does not report it."""
    system = stats.get("system")
    total, free = (system.get(name) for name in ("ram_total", "ram_free")) if isinstance(system, dict) else (None, None)
    if isinstance(total, bool) or not isinstance(total, int | float) or not isinstance(free, int | float) or total <= 0:
        return None
    return 100.0 * (1.0 - min(max(float(free), 0.0), float(total)) / float(total))
