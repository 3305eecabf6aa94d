"""What asks for a restart by itself: a server that runs nothing any more, its memory, its age, a schedule."""

import asyncio
from dataclasses import dataclass

from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.restart import DAY_S, RestartCause, held_back, is_limit
from statemachine.core.server import Server
from statemachine.core.vocabulary import Notice, State
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.fleet.trigger_looks import TriggerLooks

LOOK_S = 30.0
"""The longest pause between two looks at one server. A tenth of `warm_timeout_s`, if that is less."""

IDLE_STATES = frozenset({State.PAUSED, State.RESTARTING, State.UNREACHABLE})
"""States in which no trigger looks: the server is out of service, or does not answer."""


async def watch(context: ServerContext) -> None:
    """Look at the server until cancelled, and request a restart when a trigger asks for one."""
    looks, asking = TriggerLooks(context), _Asking(context)
    try:
        while True:
            await asyncio.sleep(_pause_s(context))
            context.note_ages()
            if _is_draining(context.server):
                continue
            if context.server.state in IDLE_STATES or context.server.open_restart is not None:
                looks.forget()
            elif context.pause.left_s <= 0 and (found := await looks.finding()) is not None:
                await asking.ask(*found)
    finally:
        looks.forget()


def _is_draining(server: Server) -> bool:
    """Return whether the server finishes its prompts and answers: what stood still before goes on standing still."""
    return server.state is State.DRAINING and server.consecutive_failures < server.reachability.fall


def _pause_s(context: ServerContext) -> float:
    pause_s = min(LOOK_S, context.fleet.settings.timing.warm_timeout_s / 10.0)
    return pause_s * (0.5 + 0.5 * context.fleet.clock.uniform())


@dataclass(slots=True)
class _Asking:
    """Requests restarts within their limits. `noticed_at` is the loop time at which a notice said that one is over."""

    context: ServerContext
    noticed_at: float = -DAY_S

    async def ask(self, cause: RestartCause, why: Message) -> None:
        """Request a restart unless its limits forbid it.

        A stuck server is failed then. One that works goes on, and a notice says so once a day: much memory in use may
        be another program's. A server that works waits until no other of its group, or of its host, is being restarted.
        """
        context, fleet, settings = self.context, self.context.fleet, self.context.config.restart
        latest = context.server.restart
        held = held_back(latest, context.ages, settings.min_pause_s, settings.max_per_day, cause, why)
        if held is None:
            if cause is RestartCause.STUCK or await self._has_turn(cause):
                context.post(events.RestartRequested(fleet.clock.new_id(), cause, message=why))
        elif cause is RestartCause.STUCK:
            context.post(events.RestartLimitReached(held))
        elif is_limit(held) and loop_time() - self.noticed_at >= DAY_S:
            self.noticed_at = loop_time()
            what = message("notice_of_server", server=context.config.name, what=held)
            fleet.recorder.notice(Notice.RESTART_WITHHELD, what)

    async def _has_turn(self, cause: RestartCause) -> bool:
        """Return whether no other server of the group is being restarted; for memory, none of the host either."""
        config, fleet = self.context.config, self.context.fleet
        counts_host = cause is RestartCause.MEMORY
        if fleet.is_restarting(config.group) or (counts_host and fleet.is_host_restarting(config.host)):
            return False
        scopes = [f"group {config.group}", *([f"host {config.host}"] if counts_host else [])]
        return await fleet.claims.claim(config.name, scopes)
