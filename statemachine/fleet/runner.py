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
from statemachine.fleet.context import Desk
from statemachine.fleet.publisher import Publisher

DUTY_CALLS: Mapping[Duty, Callable[[Desk], Awaitable[None]]] = {
    Duty.EXAMINE: checking.examine,
    Duty.CHECK: checking.check,
    Duty.RECHECK: checking.recheck,
    Duty.WATCH_QUEUE: checking.watch_queue,
    Duty.PROBE: checking.probe,
    Duty.COOL_DOWN: checking.cool_down,
    Duty.ADMIT: admission.admit,
    Duty.SUBMIT: submission.submit,
    Duty.FOLLOW: submission.follow,
}

NUDGING = (events.LinkOpened, events.LinkLost, events.QueueSeen)
"""Events after which a resting duty looks again."""

WAITING_OVER = frozenset({State.LOADED, State.SUBMITTING, State.PAUSED})
"""States with which a cold server's waiting for an idle queue is over."""

CRASH_PAUSE_S = 5.0


class Runner:
    """Runs one server from `start` to `stop`."""

    __slots__ = ("_desk", "_duties", "_handling", "_link", "_machine", "_mailbox", "_publisher", "_saved", "_stopped")

    def __init__(self, machine: Machine, desk: Desk, publisher: Publisher) -> None:
        self._machine = machine
        self._desk = desk
        self._publisher = publisher
        self._mailbox: list[events.Event] = []
        self._handling = True  # what comes before `start` waits for it
        self._stopped = False
        self._duties: dict[Duty, asyncio.Task[None]] = {}
        self._link: asyncio.Task[None] | None = None
        self._saved: object = None
        desk.post = self.post
        desk.announce = self._announce

    @property
    def desk(self) -> Desk:
        """The server's desk."""
        return self._desk

    def place(self) -> None:
        """Publish where the server stands, and count in the prompt that it may have in flight."""
        self._publisher.place(self._desk)
        self._hold_permit()

    def start(self) -> None:
        """Begin its duties, unless it was stopped before."""
        if self._stopped:
            return
        self._link = asyncio.get_running_loop().create_task(self._until_done(keep_link, "the link"))
        self._arrange_duties()
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
        attempt = self._desk.server.open_attempt
        made = self._machine.apply(self._desk.server, event, self._desk.shared.world.now())
        if attempt is not None and not attempt.is_open:
            self._desk.shared.tally.warm_up_ended(self._desk.config.group, attempt)
        for transition in made:
            self._keep(transition)
        if made:
            self._hold_permit()
            self._arrange_duties()
        else:
            self._keep_attempt()
            self._publisher.progress(self._desk)
        if isinstance(event, NUDGING):
            self._desk.nudge.ring()
        if isinstance(event, events.LinkOpened):
            self._desk.shared.census.want(self._desk.config.name, partial(_learn_system, self._desk))

    def _keep(self, transition: Transition) -> None:
        attempt = self._changed_attempt()
        self._desk.detail.count(f"to_{transition.dest.value}")
        if transition.dest in WAITING_OVER:
            self._desk.cold_since = None
        if transition.source is State.UNREACHABLE:
            self._desk.redial.ring()
        self._publisher.transition(self._desk, transition, attempt)

    def _keep_attempt(self) -> None:
        attempt = self._changed_attempt()
        if attempt is not None:
            self._desk.shared.journal.append(None, attempt)

    def _changed_attempt(self) -> Attempt | None:
        """The attempt, where what the journal keeps of it has changed since it was last handed over."""
        attempt = self._desk.server.attempt
        if attempt is None:
            return None
        key = (attempt.prompt_id, attempt.server_prompt_id, attempt.outcome, attempt.message, attempt.accepted_at)
        changed, self._saved = key != self._saved, key
        return attempt if changed else None

    def _hold_permit(self) -> None:
        """State alone decides who holds a permit, so none is leaked. A prompt that was taken up counts at once."""
        config, permits, server = self._desk.config, self._desk.shared.permits, self._desk.server
        taken_up = server.state is State.UNKNOWN and server.open_attempt is not None
        if taken_up or server.state in IN_FLIGHT:
            permits.take(config.name, config.host)
        else:
            permits.release(config.name)

    def _announce(self, at: float | None) -> None:
        self._publisher.next_action(self._desk, at)

    def _arrange_duties(self) -> None:
        wanted = DUTIES[self._desk.server.state]
        for duty in [duty for duty in self._duties if duty not in wanted]:
            self._duties.pop(duty).cancel()
        for duty in wanted:
            if duty not in self._duties or self._duties[duty].done():
                work = self._until_done(DUTY_CALLS[duty], duty.name.lower())
                self._duties[duty] = asyncio.get_running_loop().create_task(work)

    async def _until_done(self, work: Callable[[Desk], Awaitable[None]], name: str) -> None:
        """Do a duty. A fault of our own must not leave the server without care: it is logged and tried again."""
        while True:
            try:
                await work(self._desk)
            except Exception:
                logger.exception("{}: {} failed; it is tried again", self._desk.config.name, name)
                await asyncio.sleep(CRASH_PAUSE_S)
            else:
                return


async def _learn_system(desk: Desk) -> None:
    """Version and devices, for people; nothing depends on them."""
    try:
        stats = await desk.client.system_stats()
    except ComfyError:
        return
    desk.detail.system = describe_system(stats)
