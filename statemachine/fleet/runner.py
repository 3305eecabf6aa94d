"""One server's runner: its mailbox, its machine, and the duties of its state.

An event is applied at once and without awaiting; events that it causes wait in the mailbox. Every transition goes to
the journal and from there to the snapshot, the bus and the log. Then the duties that the new state does not want are
cancelled and those that it lacks are started.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from loguru import logger

from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.system import describe_system
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.log_entry import Transition
from statemachine.core.machine import Machine
from statemachine.core.vocabulary import IN_FLIGHT, State
from statemachine.fleet import admission, checking, submission
from statemachine.fleet.connection import keep_link
from statemachine.fleet.context import ServerContext
from statemachine.fleet.publisher import Publisher

DUTY_CALLS: Mapping[Duty, Callable[[ServerContext], Awaitable[None]]] = {
    Duty.PREPARE: checking.examine,
    Duty.CHECK: checking.check,
    Duty.RECHECK: checking.recheck,
    Duty.WATCH_QUEUE: checking.watch_queue,
    Duty.PROBE: checking.probe,
    Duty.BACK_OFF: checking.cool_down,
    Duty.WAIT_FOR_SLOT: admission.admit,
    Duty.SUBMIT: submission.submit,
    Duty.TRACK: submission.follow,
}

NUDGING = (events.LinkOpened, events.LinkLost, events.QueueSeen)
"""Events after which a resting duty looks again."""

WAITING_OVER = frozenset({State.LOADED, State.SUBMITTING, State.PAUSED})
"""States with which a cold server's waiting for an idle queue is over."""

CRASH_PAUSE_S = 5.0


class ServerTask:
    """Runs one server from `start` to `stop`."""

    __slots__ = (
        "_context",
        "_duties",
        "_handling",
        "_link",
        "_machine",
        "_mailbox",
        "_publisher",
        "_saved",
        "_stopped",
    )

    def __init__(self, machine: Machine, context: ServerContext, publisher: Publisher) -> None:
        self._machine = machine
        self._context = context
        self._publisher = publisher
        self._mailbox: list[events.Event] = []
        self._handling = True  # what comes before `start` waits for it
        self._stopped = False
        self._duties: dict[Duty, asyncio.Task[None]] = {}
        self._link: asyncio.Task[None] | None = None
        self._saved: object = None
        context.post = self.post
        context.announce = self._announce

    @property
    def context(self) -> ServerContext:
        """The server's context."""
        return self._context

    def place(self) -> None:
        """Publish where the server stands, and count in the prompt that it may have in flight."""
        self._publisher.publish_current(self._context)
        self._sync_permit()

    def start(self) -> None:
        """Begin its duties, unless it was stopped before."""
        if self._stopped:
            return
        self._link = asyncio.get_running_loop().create_task(self._until_done(keep_link, "the link"))
        self._reconcile_tasks()
        self._empty_mailbox()

    async def stop(self) -> None:
        """Cancel everything and wait for it. What is posted from now on is lost, as to a daemon that has ended."""
        self._stopped = True
        tasks = [*self._duties.values(), *([self._link] if self._link is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def post(self, event: events.Event) -> None:
        """Put an event into the mailbox; it is handled before this returns, unless one is being handled already."""
        self._mailbox.append(event)
        if not self._handling and not self._stopped:
            self._empty_mailbox()

    def _empty_mailbox(self) -> None:
        self._handling = True
        try:
            while self._mailbox:
                self._handle(self._mailbox.pop(0))
        finally:
            self._handling = False

    def _handle(self, event: events.Event) -> None:
        attempt = self._context.server.open_attempt
        made = self._machine.apply(self._context.server, event, self._context.fleet.clock.now())
        if attempt is not None and not attempt.is_open:
            self._context.fleet.counters.warm_up_ended(self._context.config.group, attempt)
        for transition in made:
            self._record(transition)
        if made:
            self._sync_permit()
            self._reconcile_tasks()
        else:
            self._record_attempt()
            self._publisher.progress(self._context)
        if isinstance(event, NUDGING):
            self._context.nudge.notify()
        if isinstance(event, events.LinkOpened):
            self._context.fleet.system_info.want(self._context.config.name, partial(_learn_system, self._context))

    def _record(self, transition: Transition) -> None:
        attempt = self._changed_attempt()
        self._context.detail.count(f"to_{transition.dest.value}")
        if transition.dest in WAITING_OVER:
            self._context.cold_since = None
        if transition.source is State.UNREACHABLE:
            self._context.redial.notify()
        self._publisher.transition(self._context, transition, attempt)

    def _record_attempt(self) -> None:
        attempt = self._changed_attempt()
        if attempt is not None:
            self._context.fleet.journal.append(None, attempt)

    def _changed_attempt(self) -> Attempt | None:
        """The attempt, where what the journal keeps of it has changed since it was last handed over."""
        attempt = self._context.server.attempt
        if attempt is None:
            return None
        key = (attempt.prompt_id, attempt.server_prompt_id, attempt.outcome, attempt.message, attempt.accepted_at)
        changed, self._saved = key != self._saved, key
        return attempt if changed else None

    def _sync_permit(self) -> None:
        """State alone decides who holds a permit, so none is leaked. A prompt that was taken up counts at once."""
        config, permits, server = self._context.config, self._context.fleet.permits, self._context.server
        taken_up = server.state is State.UNKNOWN and server.open_attempt is not None
        if taken_up or server.state in IN_FLIGHT:
            permits.take(config.name, config.host)
        else:
            permits.release(config.name)

    def _announce(self, at: float | None) -> None:
        self._publisher.next_action(self._context, at)

    def _reconcile_tasks(self) -> None:
        wanted = DUTIES[self._context.server.state]
        for duty in [duty for duty in self._duties if duty not in wanted]:
            self._duties.pop(duty).cancel()
        for duty in wanted:
            if duty not in self._duties or self._duties[duty].done():
                work = self._until_done(DUTY_CALLS[duty], duty.name.lower())
                self._duties[duty] = asyncio.get_running_loop().create_task(work)

    async def _until_done(self, work: Callable[[ServerContext], Awaitable[None]], name: str) -> None:
        """Do a duty. A fault of our own must not leave the server without care: it is logged and tried again."""
        while True:
            try:
                await work(self._context)
            except Exception:
                logger.exception("{}: {} failed; it is tried again", self._context.config.name, name)
                await asyncio.sleep(CRASH_PAUSE_S)
            else:
                return


async def _learn_system(context: ServerContext) -> None:
    """Version and devices, for people; nothing depends on them."""
    try:
        stats = await context.client.system_stats()
    except ComfyError:
        return
    context.detail.system = describe_system(stats)
