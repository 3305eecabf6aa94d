"""The task of one server: its mailbox, its machine, and the asyncio tasks that its state asks for.

An event is applied at once and without awaiting. Each transition goes to the journal, and from there to the snapshot,
the bus and the log. Then the tasks that the new state does not want are cancelled and the missing ones are started.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from loguru import logger

from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.system import describe_system
from statemachine.core import events
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.log_entry import Transition
from statemachine.core.machine import Machine
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import IN_FLIGHT, State
from statemachine.fleet import admission, checking, draining, restarting, submission, triggers
from statemachine.fleet.clock import loop_time
from statemachine.fleet.connection import keep_link
from statemachine.fleet.context import ServerContext
from statemachine.fleet.restarting import warm_left_s, warm_limit_s
from statemachine.i18n.render import worded
from statemachine.publish.publisher import view_of
from statemachine.settings.servers import ServerConfig

DUTY_CALLS: Mapping[Duty, Callable[[ServerContext], Awaitable[None]]] = {
    Duty.PREPARE: checking.prepare,
    Duty.CHECK: checking.check,
    Duty.RECHECK: checking.recheck,
    Duty.WATCH_QUEUE: checking.watch_queue,
    Duty.PROBE: checking.probe,
    Duty.BACK_OFF: checking.back_off,
    Duty.END_PAUSE: restarting.end_pause,
    Duty.AWAIT_HOOK: restarting.await_hook,
    Duty.WAIT_FOR_SLOT: admission.wait_for_slot,
    Duty.SUBMIT: submission.submit,
    Duty.TRACK: submission.track,
    Duty.DRAIN: draining.drain,
    Duty.RESTART: restarting.restart,
}

NUDGING = (events.LinkOpened, events.LinkLost, events.QueueSeen, events.PauseRequested)
"""Events after which a waiting task looks again."""

MAY_RESTORE = frozenset({State.UNKNOWN, State.DRAINING})
"""States other than those in flight in which a prompt of ours holds a permit."""

WAITING_OVER = frozenset({State.LOADED, State.SUBMITTING, State.PAUSED, State.DRAINING})
"""States that end a cold server's wait for an idle queue."""

CRASH_PAUSE_S = 5.0


class Mailbox:
    """Hands events to one handler, one after the other and in order.

    An event that arrives before `open`, or while another is being handled, waits. After `close` events are dropped.
    """

    __slots__ = ("_events", "_handle", "_is_busy", "_is_closed")

    def __init__(self) -> None:
        self._events: list[events.Event] = []
        self._handle: Callable[[events.Event], None] | None = None
        self._is_busy = False
        self._is_closed = False

    def post(self, event: events.Event) -> None:
        """Add an event. It is handled before this returns, unless it has to wait."""
        self._events.append(event)
        if self._handle is None or self._is_busy or self._is_closed:
            return
        self._is_busy = True
        try:
            while self._events:
                self._handle(self._events.pop(0))
        finally:
            self._is_busy = False

    def open(self, handle: Callable[[events.Event], None]) -> None:
        """Start to hand events to `handle`, beginning with those that wait."""
        waiting, self._events, self._handle = self._events, [], handle
        for event in waiting:
            self.post(event)

    def close(self) -> None:
        """Drop every event from now on."""
        self._is_closed = True


class ServerTask:
    """Runs one server from `start` to `stop`."""

    __slots__ = (
        "_context",
        "_duties",
        "_is_stopped",
        "_lasting",
        "_machine",
        "_mailbox",
        "_overdue",
        "_saved",
        "_saved_restart",
        "_watch",
    )

    def __init__(self, machine: Machine, context: ServerContext, mailbox: Mailbox) -> None:
        self._machine = machine
        self._context = context
        self._mailbox = mailbox
        self._is_stopped = False
        self._duties: dict[Duty, asyncio.Task[None]] = {}
        self._lasting: list[asyncio.Task[None]] = []
        self._saved: object = None
        self._saved_restart: Restart | None = None
        self._watch: asyncio.Task[None] | None = None
        self._overdue: asyncio.TimerHandle | None = None

    @property
    def context(self) -> ServerContext:
        """The server's memory and client."""
        return self._context

    @property
    def has_started(self) -> bool:
        """Whether events are handled as they are posted."""
        return bool(self._lasting)

    def publish_current(self) -> None:
        """Publish the server as it stands now, and count the prompt that it may have in flight."""
        context = self._context
        context.fleet.publisher.publish_current(context.config, context.server, context.detail)
        self._sync_permit()
        self._sync_restart()

    def start(self) -> None:
        """Start the tasks of the present state, unless the server was stopped before."""
        if self._is_stopped:
            return
        self._saved_restart = self._context.server.restart
        self._lasting = [self._started(keep_link, "the /ws connection")]
        self._reconcile_watch()
        self._reconcile_tasks()
        self._mailbox.open(self._handle)

    async def stop(self) -> None:
        """Cancel everything and wait for it to end. Events that arrive later are dropped."""
        self._is_stopped = True
        self._mailbox.close()
        self._context.fleet.restarting.pop(self._context.config.name, None)
        self._end_warm_limit()
        tasks = [*self._duties.values(), *self._lasting, *([self._watch] if self._watch is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def configure(self, config: ServerConfig) -> None:
        """Apply how the server is restarted; everything else in its configuration is the same."""
        self._context.config = config
        if self._lasting and not self._is_stopped:
            self._reconcile_watch()

    def _reconcile_watch(self) -> None:
        """Let the watch for restarts run if the settings have a hook and something that triggers it."""
        settings = self._context.config.restart
        wanted = settings.hook is not None and bool(settings.triggers)
        if wanted and self._watch is None:
            self._watch = self._started(triggers.watch, "the watch for restarts")
        elif not wanted and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _handle(self, event: events.Event) -> None:
        context, fleet = self._context, self._context.fleet
        attempt = context.server.open_attempt
        made = self._apply(event)
        if attempt is not None and not attempt.is_open:
            fleet.counters.warm_up_ended(context.config.group, attempt)
        changed = self._changed_attempt()
        for transition in made:
            self._record(transition, changed)
            changed = None  # the first entry carries it
        if made:
            self._sync_permit()
            self._sync_restart()
            self._reconcile_tasks()
        elif changed is not None:
            fleet.recorder.attempt(changed)
        fleet.publisher.progress(context.server)
        if isinstance(event, NUDGING):
            context.nudge.notify()
        if isinstance(event, events.LinkOpened):
            fleet.system_info.want(context.config.name, partial(_read_system_info, context))

    def _apply(self, event: events.Event) -> list[Transition]:
        """Apply the event, and note when failures, losses and limits were last counted."""
        context, server = self._context, self._context.server
        streak, contention, limited = server.streak, server.contention, server.limited_posts
        made = self._machine.apply(server, event, context.fleet.clock.now())
        if server.streak is not streak:
            context.failed_at = loop_time()
            context.fleet.recorder.streak(server)
        if server.contention is not contention:
            context.lost_at = loop_time()
        if server.limited_posts > limited:
            context.limited_at = loop_time()
        return made

    def _record(self, transition: Transition, attempt: Attempt | None) -> None:
        context = self._context
        context.detail.count(f"to_{transition.dest.value}")
        if transition.dest in WAITING_OVER:
            context.cold_since = None
        if transition.source in (State.UNREACHABLE, State.RESTARTING):
            context.redial.notify()
        language = context.fleet.settings.language
        waiting = context.server.waiting
        context.server.waiting = waiting._replace(what=worded(waiting.what, language))
        view = view_of(context.config, context.server, language)
        self._record_restart()
        context.fleet.recorder.transition(transition, view, attempt)

    def _record_restart(self) -> None:
        """Record the restart if it has changed, before the entry that shows it."""
        restart, fleet = self._context.server.restart, self._context.fleet
        if restart is None or restart is self._saved_restart:
            return
        before, self._saved_restart = self._saved_restart, restart
        fleet.recorder.restart(restart)
        if before is not None and before.is_open and not restart.is_open:
            fleet.counters.restart_ended(self._context.config.group, restart)

    def _changed_attempt(self) -> Attempt | None:
        """Return the attempt if what the journal stores of it has changed since it was last recorded."""
        attempt = self._context.server.attempt
        if attempt is None:
            return None
        key = (attempt.prompt_id, attempt.server_prompt_id, attempt.outcome, attempt.message, attempt.accepted_at)
        changed, self._saved = key != self._saved, key
        return attempt if changed else None

    def _sync_permit(self) -> None:
        """Take or release the permit by the server's memory alone, so that none leaks.

        A restored prompt counts at once, but not one that a rate limit has kept from the server. A prompt that was
        reported as stuck no longer counts: it may stay on its server without end.
        """
        config, permits, server = self._context.config, self._context.fleet.permits, self._context.server
        attempt = server.open_attempt
        restored = server.state in MAY_RESTORE and attempt is not None and not attempt.rate_limited
        is_stuck = attempt is not None and attempt.stuck
        if (restored or server.state in IN_FLIGHT) and not is_stuck:
            permits.take(config.name, config.host, config.group)
        else:
            permits.release(config.name)

    def _sync_restart(self) -> None:
        """Note at once whether a restart is open, so that no other server of the group is restarted meanwhile."""
        config, restarting = self._context.config, self._context.fleet.restarting
        if self._context.server.open_restart is not None:
            restarting[config.name] = config.group, config.host
        else:
            restarting.pop(config.name, None)
        self._end_warm_limit()
        if not self._is_stopped and (left_s := warm_left_s(self._context)) is not None:
            overdue = events.RestartOverdue(warm_limit_s(self._context))
            self._overdue = asyncio.get_running_loop().call_later(left_s, self._mailbox.post, overdue)

    def _end_warm_limit(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        self._overdue = None

    def _reconcile_tasks(self) -> None:
        wanted = DUTIES[self._context.server.state]
        for duty in [duty for duty in self._duties if duty not in wanted]:
            self._duties.pop(duty).cancel()
        for duty in wanted:
            if duty not in self._duties or self._duties[duty].done():
                self._duties[duty] = self._started(DUTY_CALLS[duty], duty.name.lower())

    def _started(self, work: Callable[[ServerContext], Awaitable[None]], name: str) -> "asyncio.Task[None]":
        return asyncio.get_running_loop().create_task(self._run(work, name))

    async def _run(self, work: Callable[[ServerContext], Awaitable[None]], name: str) -> None:
        """Run a task to its end. An unexpected exception must not stop it: log it and retry."""
        while True:
            try:
                await work(self._context)
            except Exception:
                logger.exception("{}: {} failed and is retried", self._context.config.name, name)
                await asyncio.sleep(CRASH_PAUSE_S)
            else:
                return


async def _read_system_info(context: ServerContext) -> None:
    """Read version and devices, which are only shown to people."""
    try:
        stats = await context.client.system_stats()
    except ComfyError:
        return
    context.detail.system = describe_system(stats)
