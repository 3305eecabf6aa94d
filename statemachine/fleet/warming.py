"""The duties that warm a server: wait to be allowed, submit once, follow to a proved end."""

import asyncio
from dataclasses import dataclass
from types import MappingProxyType

from statemachine.comfyui.errors import AccessDeniedError, ComfyError, NotAnsweringError
from statemachine.comfyui.fate import look_up
from statemachine.comfyui.fitness import fitness
from statemachine.comfyui.records import Marker, QueueItem
from statemachine.comfyui.workflow import Workflow, with_varied_tag
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.backoff import backoff
from statemachine.core.vocabulary import Reason, State
from statemachine.fleet.clock import loop_time
from statemachine.fleet.desk import Desk
from statemachine.journal.journal import JournalUnavailableError

LINK_WAIT_S = 5.0
"""How long a submission waits for /ws, so that the server's own frames can confirm it; then it goes without."""

FOLLOW_S = 10.0
"""Between two HTTP looks at our prompt while /ws delivers; without /ws, `retry_s`."""

IN_FLIGHT = frozenset({State.SUBMITTING, State.WARMING})


async def admit(desk: Desk) -> None:
    """Wait for the backoff, an idle queue and a permit; then the prompt_id is chosen and the submission starts."""
    try:
        await _back_off(desk)
        while True:
            if await _try_to_start(desk):
                return
            await asyncio.sleep(desk.shared.settings.timing.retry_s)
    finally:
        if desk.server.state not in IN_FLIGHT:
            desk.shared.permits.release(desk.config.name)


async def _back_off(desk: Desk) -> None:
    timing = desk.shared.settings.timing
    if desk.server.setbacks:
        tries = desk.server.setbacks - 1
        await desk.sleep(backoff(tries, timing.retry_s, timing.failed_retry_s, desk.shared.world.uniform))


async def _try_to_start(desk: Desk) -> bool:
    """Whether an event was posted that ends the waiting. False: look again, nothing was decided."""
    try:
        event = await _decide(desk)
    except NotAnsweringError:
        event = None
    except ComfyError as error:
        reason = Reason.ACCESS_DENIED if isinstance(error, AccessDeniedError) else Reason.CHECK_UNRECOGNISED
        event = events.CheckUnusable(reason, f"before submitting: {error}")
    if event is None:
        desk.shared.permits.release(desk.config.name)
        return False
    desk.post(event)
    return True


async def _decide(desk: Desk) -> events.Event | None:
    """What follows for a cold server; None where it must wait: its queue filled again, or all submissions are held."""
    if desk.server.open_attempt is not None:
        return events.DoubtRaised()
    if desk.shared.herd.holds or not desk.shared.journal.healthy:
        return None
    workflow = desk.workflows[desk.server.needed[0]]
    if unfit := await _unfitness(desk, workflow):
        return unfit
    overdue = await _wait_for_idle_queue(desk)
    await _wait_for_link(desk)
    await desk.shared.permits.acquire(desk.config.name, desk.config.host)
    items = await desk.client.queue()
    if found := _already_loading(items, workflow, desk.server.missing):
        return found
    return _submission(desk, workflow) if overdue or not items else None


async def _unfitness(desk: Desk, workflow: Workflow) -> events.WorkflowUnfit | None:
    """What the server lacks for the workflow. Asked once for each life of the server, before the first submission."""
    if workflow.digest in desk.fit:
        return None
    lacking = await fitness(desk.client, workflow)
    if lacking.fits:
        desk.fit.add(workflow.digest)
        return None
    reason = Reason.MISSING_NODES if lacking.missing_nodes else Reason.MISSING_MODELS
    return events.WorkflowUnfit(reason, f"workflow {workflow.name}: " + "; ".join(lacking.sentences))


async def _wait_for_idle_queue(desk: Desk) -> bool:
    """Users' work comes first, up to `busy_wait_s` since the server was found cold; whether that time is over."""
    timing = desk.shared.settings.timing
    if desk.cold_since is None:
        desk.cold_since = loop_time()
    while await desk.client.queue_remaining() > 0:
        left = desk.cold_since + timing.busy_wait_s - loop_time()
        if left <= 0:
            return True
        desk.announce(desk.shared.world.now() + left)
        await desk.rest(min(left, timing.auto_recheck_s))
    return False


async def _wait_for_link(desk: Desk) -> None:
    until = loop_time() + LINK_WAIT_S
    while desk.server.client_id is None and loop_time() < until:
        await desk.rest(until - loop_time())


def _already_loading(
    items: tuple[QueueItem, ...], workflow: Workflow, missing: tuple[str, ...]
) -> events.LoadingFound | None:
    """Somebody (the server itself, a user, another daemon) has queued what would bring the keys back."""
    for item in items:
        same = item.marker is not None and item.marker.workflow == workflow.name
        if same or not item.cache_keys.isdisjoint(missing):
            message = f"prompt {item.prompt_id}, not ours, is already loading what is missing; nothing is submitted"
            return events.LoadingFound(message)
    return None


def _submission(desk: Desk, workflow: Workflow) -> events.SubmissionStarted:
    return events.SubmissionStarted(
        workflow=workflow.name,
        prompt_id=desk.shared.world.new_id(),
        client_id=desk.server.client_id,
        varied_tag=desk.server.trapped,
        total_nodes=len(workflow.graph),
        cache_nodes=MappingProxyType({node.node_id: node.key for node in workflow.cache_nodes}),
    )


async def submit(desk: Desk) -> None:
    """Write the attempt down, post it, report the answer. Where the fate is in doubt, only find it out."""
    attempt = desk.server.open_attempt
    if attempt is None:
        return
    if desk.server.reason is Reason.PERMIT_GRANTED and not attempt.posted and await _post_once(desk, attempt):
        return
    await _find_fate(desk, attempt)


async def _post_once(desk: Desk, attempt: Attempt) -> bool:
    """Whether the attempt's fate is known from the answer, or nothing was sent."""
    try:
        await desk.shared.journal.append_durably(attempt)
    except JournalUnavailableError as error:
        desk.post(events.SubmissionWithheld(f"nothing was submitted: {error}"))
        return True
    workflow = desk.workflows[attempt.workflow]
    graph = with_varied_tag(workflow, attempt.prompt_id[:8]) if attempt.varied_tag else workflow.graph
    marker = Marker(attempt.prompt_id, workflow.name, workflow.digest)
    desk.detail.count("submissions")
    attempt.posted = True
    answer: events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered
    try:
        answer = await desk.client.submit(graph, marker, attempt.client_id, front=_goes_in_front(desk))
    except ComfyError as error:
        answer = events.SubmissionUnanswered(f"POST /prompt: {error}", answered=False)
    if isinstance(answer, events.PromptRefused) and answer.still_runs:
        desk.check.distrust(attempt.prompt_id)
    desk.post(answer)
    return not isinstance(answer, events.SubmissionUnanswered)


def _goes_in_front(desk: Desk) -> bool:
    return desk.shared.settings.when_busy_too_long == "front" and bool(desk.server.queue_remaining)


async def _find_fate(desk: Desk, attempt: Attempt) -> None:
    """Look until the prompt is found, or has been absent for the whole grace period.

    A server may take a POST seconds after its sender gave up, so one look proves nothing.
    """
    grace = _Grace(0.0 if attempt.accepted_at is not None else desk.shared.settings.timing.lost_grace_s)
    deadline = loop_time() + desk.shared.settings.timing.warm_timeout_s
    while loop_time() < deadline:
        if await _look(desk, attempt, grace):
            return
        await asyncio.sleep(max(0.2, min(desk.shared.settings.timing.retry_s, grace.seconds / 4)))
    desk.post(events.PromptStuck("what became of our prompt cannot be found out: its records are not understood"))


@dataclass(slots=True)
class _Grace:
    """How long absence must last, and since when it has lasted (loop time)."""

    seconds: float
    absent_since: float | None = None

    def is_over(self) -> bool:
        """Whether the prompt, absent now, has been so for long enough, over at least two looks."""
        if self.absent_since is None:
            self.absent_since = loop_time()
            return False
        return loop_time() - self.absent_since >= self.seconds


async def _look(desk: Desk, attempt: Attempt, grace: _Grace) -> bool:
    """Look the prompt up once and report what is proved; whether anything was."""
    try:
        found = await look_up(desk.client, attempt)
    except ComfyError:
        grace.absent_since = None
        return False
    if found is None and not grace.is_over():
        return False
    desk.post(found if found is not None else _absence(desk, attempt))
    return True


def _absence(desk: Desk, attempt: Attempt) -> events.PromptAbsent | events.PromptRefused:
    if attempt.answered and attempt.accepted_at is None:
        return events.PromptRefused(Reason.PROMPT_REFUSED, attempt.message)
    if desk.server.was_away_during(attempt):
        message = "the server was away and has come back without our prompt"
        return events.PromptAbsent(Reason.SERVER_RESTARTED, message)
    return events.PromptAbsent(Reason.PROMPT_LOST, "our prompt is neither queued, nor running, nor in history")


async def follow(desk: Desk) -> None:
    """Ask about our prompt over HTTP, slowly, or at once when something hints at its end; give up when it is stuck."""
    timing = desk.shared.settings.timing
    moved, moved_at = 0.0, loop_time()
    while (attempt := desk.server.open_attempt) is not None:
        hears = attempt.client_id is not None and attempt.client_id == desk.server.client_id
        await desk.rest(FOLLOW_S if hears else timing.retry_s)
        if attempt.last_progress_at != moved:
            moved, moved_at = attempt.last_progress_at, loop_time()
        if loop_time() - moved_at > timing.warm_timeout_s:
            desk.post(events.PromptStuck(f"no progress of our prompt for {timing.warm_timeout_s:g} s"))
            return
        await _look_while_warming(desk, attempt)


async def _look_while_warming(desk: Desk, attempt: Attempt) -> None:
    """Two looks in a row must miss a prompt before it counts as lost; one that is still queued needs no report."""
    grace = _Grace(0.0)
    for _ in range(2):
        try:
            found = await look_up(desk.client, attempt)
        except ComfyError:
            return
        if isinstance(found, events.PromptAccepted):
            return
        if found is not None or grace.is_over():
            desk.post(found if found is not None else _absence(desk, attempt))
            return
        await asyncio.sleep(0.2)
