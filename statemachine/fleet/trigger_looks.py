"""Looks at one server for what asks for a restart: a standstill, memory, age, a time of the schedule."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.node_answers import NO_REPORT, WorkerReport
from statemachine.core.messages import Message, message
from statemachine.core.restart import RestartCause
from statemachine.core.standstill import NO_STANDSTILL, QueueLook, Standstill
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.settings.restarts import RestartSettings
from statemachine.settings.times import last_start

MEMORY_LOOKS = 2
"""Looks in a row at which too much memory must be in use."""

DEVICE_FIGURES = ("vram_free", "torch_vram_free", "torch_vram_total")
"""Memory figures of a device, which change while it computes."""

Finding = tuple[RestartCause, Message]


@dataclass(slots=True)
class TriggerLooks:
    """What the looks at one server have shown. `began_at` is loop time.

    `stats` is what the server has reported of its host and devices at this look, if it was asked.
    """

    context: ServerContext
    began_at: float = field(default_factory=loop_time)
    standstill: Standstill = NO_STANDSTILL
    memory_looks: int = 0
    stats: Mapping[str, Any] | None = None

    @property
    def settings(self) -> RestartSettings:
        """How the server is restarted."""
        return self.context.config.restart

    def forget(self) -> None:
        """Forget what was seen: the server is out of service, or is being restarted."""
        self.standstill, self.memory_looks, self.context.stands_still = NO_STANDSTILL, 0, False

    async def finding(self) -> Finding | None:
        """Look once; return what asks for a restart. A look that brings no answer shows nothing."""
        self.stats = None
        looks = [self._stuck] if self.settings.when_stuck else []
        if self._looks_at_memory():
            looks.append(self._memory)
        if looks:
            async with self.context.fleet.check_slots.slot(self.context.pace):
                for look in looks:
                    with suppress(ComfyError):
                        if (found := await look()) is not None:
                            return found
        return self._age() or self._schedule()

    async def _stuck(self) -> Finding | None:
        if self.context.server.queue_remaining == 0:
            self.standstill, self.context.stands_still = NO_STANDSTILL, False
            return None
        self.standstill = self.standstill.after(await self._look_at_queue())
        why = self.standstill.diagnosis(self.context.fleet.settings.timing.warm_timeout_s)
        self.context.stands_still = why is not None
        return None if why is None else (RestartCause.STUCK, message("restart_for_stuck", cause=why))

    async def _look_at_queue(self) -> QueueLook:
        context, attempt = self.context, self.context.server.open_attempt
        listing = await context.client.queue()
        ours = attempt is not None and any(item.is_of(attempt) for item in listing.running)
        worker = await self._worker()
        look = QueueLook(
            loop_time(),
            tuple(item.prompt_id for item in listing.running),
            tuple(item.prompt_id for item in listing.pending),
            listing.length - len(listing.items),
            worker.alive,
            None,
            attempt.last_progress_at if ours and attempt is not None else None,
            worker.activity.step,
            worker.activity.cpu_s,
        )
        return replace(look, devices=await self._devices()) if look.may_run and not ours else look

    async def _worker(self) -> WorkerReport:
        """Return what the companion node reports of the worker, nothing without a node."""
        if self.context.server.node_cursor is not None:
            with suppress(ComfyError):
                return await self.context.check.worker()
        return NO_REPORT

    async def _devices(self) -> tuple[tuple[int | None, ...], ...] | None:
        """Return the memory figures of the devices that compute, None if the server reports none."""
        devices = (await self._system_stats()).get("devices")
        if not isinstance(devices, list) or not devices:
            return None
        return tuple(tuple(one.get(name) for name in DEVICE_FIGURES) for one in devices if isinstance(one, dict))

    def _looks_at_memory(self) -> bool:
        """Return whether the memory counts. While a server of the host is restarted, it says nothing yet."""
        config, fleet = self.context.config, self.context.fleet
        if self.settings.max_ram_percent is None:
            return False
        if fleet.is_restarting(config.group) or fleet.is_host_restarting(config.host):
            self.memory_looks = 0
            return False
        return True

    async def _memory(self) -> Finding | None:
        """Return the finding if too much memory of the host is in use at several looks in a row."""
        used, limit = _ram_percent(await self._system_stats()), self.settings.max_ram_percent
        if used is None or limit is None or used < limit:
            self.memory_looks = 0
            return None
        self.memory_looks += 1
        why = message("restart_for_memory", used=round(used, 1), limit=limit)
        return (RestartCause.MEMORY, why) if self.memory_looks >= MEMORY_LOOKS else None

    async def _system_stats(self) -> Mapping[str, Any]:
        if self.stats is None:
            self.stats = await self.context.client.system_stats()
        return self.stats

    def _age(self) -> Finding | None:
        """Return the finding if the last restart, or the begin of this watch, is long ago."""
        limit_s, restart = self.settings.max_age_s, self.context.server.restart
        age_s = loop_time() - self.began_at
        if restart is not None and restart.hooks:
            age_s = self.context.ages.age_s(restart.hooks[-1])
        if limit_s is None or age_s < limit_s:
            return None
        return RestartCause.AGE, message("restart_for_age", age=self.settings.max_age or "")

    def _schedule(self) -> Finding | None:
        """Return the finding if a time of the schedule has come since the last restart.

        One that came before this watch began counts if a daemon has begun to restart the group for it, and the server
        was restarted before: it was in the group then, and has not replaced another one since.
        """
        settings, restart, fleet = self.settings, self.context.server.restart, self.context.fleet
        if settings.schedule is None:
            return None
        turn = last_start(settings.schedule, settings.time_zone, fleet.clock.now())
        if restart is not None:
            requested_at = restart.requested_at
            # A clock that is set back repeats a turn, one that is set forward skips some: neither asks for a restart.
            if turn <= max(requested_at, self.context.ages.redated(requested_at)):
                return None
        is_past = turn <= fleet.clock.now() - (loop_time() - self.began_at)
        if is_past and (restart is None or not fleet.turns.has_begun(self.context.config, turn)):
            return None
        why = message("restart_for_schedule", cron=settings.schedule, zone=settings.time_zone)
        return RestartCause.SCHEDULE, why


def _ram_percent(stats: Mapping[str, Any]) -> float | None:
    """Return how much of the host's memory is in use, None if the server does not report it."""
    system = stats.get("system")
    total, free = (system.get(name) for name in ("ram_total", "ram_free")) if isinstance(system, dict) else (None, None)
    if isinstance(total, bool) or not isinstance(total, int | float) or not isinstance(free, int | float) or total <= 0:
        return None
    return 100.0 * (1.0 - min(max(float(free), 0.0), float(total)) / float(total))
