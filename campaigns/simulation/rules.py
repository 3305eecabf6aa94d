"""Rules for transitions, checked against the delivered replies and the prompts in flight."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from campaigns.simulation.ledger import ServerLedger, prompts_of_ours
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import IN_FLIGHT, Reason, Source, State
from statemachine.settings import Settings
from statemachine.settings.model import Timing

MISSING_IS_NEW_S = 25.0
"""Maximum age of a `missing` result. A check may consist of two requests."""

RECOVERY_IS_NEW_S = 90.0
"""A recovered prompt counts against the budget only after this time. A permit that was acquired before it stays valid,
and its holder may wait for the answer of a slow queue."""

NEVER_TRUE_HERE = {Reason.CHECK_ABSENT, Reason.ACCESS_DENIED, Reason.CACHE_DISABLED, Reason.WORKFLOW_NOT_API_FORMAT}
"""No simulated server and no network fault causes these reasons."""


MOST_IN_A_ROW = 3
SHORTEST_SHARE = 0.85
"""The long backoff is spread by a tenth, and begins with the failure."""

CONTENTION_WINDOW_S = 600.0
UNDELAYED = 3
"""Warm-ups before the first pause: one at first, one after a single loss, and a second try of one without effect."""

FAILURES: Mapping[Reason, str] = {
    Reason.SERVER_RESTARTED: "lost",
    Reason.PROMPT_LOST: "lost",
    Reason.WARM_UP_ENDS_SERVER: "lost",
    Reason.PROMPT_INTERRUPTED: "interrupted",
    Reason.PROMPT_FAILED: "raised",
    Reason.OUT_OF_MEMORY: "out of memory",
    Reason.PROMPT_REFUSED: "refused",
    Reason.QUEUE_STUCK: "stuck",
}
"""How a warm-up failed: the same way or another one."""

CONFIRMATIONS: Mapping[Reason, str] = {
    Reason.PROMPT_ACCEPTED: "accepted",
    Reason.PROMPT_SUCCEEDED: "success",
    Reason.PROMPT_FAILED: "error",
    Reason.OUT_OF_MEMORY: "error",
    Reason.PROMPT_INTERRUPTED: "interrupted",
}


class TransitionRules:
    """Check each transition; call `fail(server, what)` for each violation."""

    def __init__(
        self, settings: Settings, fleet: Callable[[], Iterable[ServerLedger]], fail: Callable[[str, str], None]
    ) -> None:
        self._settings, self._fleet, self._fail = settings, fleet, fail

    def check(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        """Check one transition, which the ledger already contains."""
        for rule in (
            self._check_loaded,
            self._check_cold,
            self._check_start,
            self._check_reason,
            self._check_still_cold,
            self._check_repetition,
        ):
            rule(name, ledger, transition)

    def _check_loaded(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.dest is not State.LOADED:
            return
        for kind in ledger.plan.check_kinds:
            ticket, cached = ledger.verdicts.get(kind, (-1, False))
            if not cached or ticket < ledger.last_change or transition.reason is not Reason.ALL_CACHED:
                self._fail(name, f"unconfirmed loaded: no {kind} check reported it after the last change")

    def _check_cold(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.dest is not State.COLD or transition.reason is Reason.JOURNAL_UNAVAILABLE:
            return
        if transition.source is State.COLD:
            return
        fresh = ledger.missing > ledger.unusable and now() - ledger.missing_at <= MISSING_IS_NEW_S
        if not fresh or transition.proved_by is not Source.CHECK:
            self._fail(name, "unconfirmed cold: no recent check reported a missing model")

    def _check_start(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.reason is not Reason.PERMIT_GRANTED:
            return
        since = now() - RECOVERY_IS_NEW_S
        counted = [one for one in self._fleet() if one.state in IN_FLIGHT and one.stuck_prompt != one.prompt]
        busy = [one for one in counted if one.recovered_at < since]
        same_host = [one for one in busy if one.plan.host == ledger.plan.host]
        limits = self._settings.limits
        if len(busy) > limits.max_warming or len(same_host) > limits.max_warming_per_host:
            self._fail(name, f"budget: {len(busy)} warm-ups in flight, {len(same_host)} of them on {ledger.plan.host}")
        waited = now() - (ledger.missing_since if ledger.missing_since is not None else now())
        if ledger.last_queue and waited < self._settings.timing.busy_wait_s - 1.0:
            self._fail(name, f"busy queue: submitted behind {ledger.last_queue} prompts after a wait of {waited:.0f} s")

    def _check_reason(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        reason, prompt_id = transition.reason, transition.prompt_id or ledger.prompt
        confirmation, profile = CONFIRMATIONS.get(reason), ledger.plan.profile
        if confirmation and confirmation not in ledger.confirmed.get(prompt_id, ()):
            self._fail(name, f"{reason.value}: no reply or frame to the daemon confirms it")
        elif reason in (Reason.PROMPT_LOST, Reason.SERVER_RESTARTED) and transition.source in IN_FLIGHT:
            if prompt_id in ledger.wire.in_transit or prompt_id in prompts_of_ours(ledger):
                self._fail(name, f"duplicate warm-up: {reason.value}, but {prompt_id} may still run")
        elif reason is Reason.QUEUE_STUCK:
            if now() - ledger.moved_at < self._settings.timing.warm_timeout_s - 15.0:
                self._fail(name, f"queue_stuck: the queue moved {now() - ledger.moved_at:.0f} s ago")
        elif reason in NEVER_TRUE_HERE or (
            (reason is Reason.MISSING_NODES and not profile.missing_classes)
            or (reason is Reason.MISSING_MODELS and profile.model_files)
        ):
            self._fail(name, f"{reason.value}: not true of this server: {transition.message}")

    def _check_still_cold(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        """Check that a success is not judged before its entry is in the history."""
        running = ledger.wire.server.process.queue.running
        is_ours = running is not None and running.prompt_id in {ledger.prompt, ledger.server_prompt}
        by_history = "history" in ledger.plan.check_kinds
        if transition.reason is Reason.STILL_COLD_AFTER_SUCCESS and is_ours and by_history:
            self._fail(name, "premature check: the history does not have our prompt yet")

    def _check_repetition(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        """Check that failures do not repeat without end, and that evictions make warm-ups less frequent."""
        reason = transition.reason
        ledger.note_stay(transition.dest, now())
        if transition.dest is State.LOADED or reason is Reason.PROMPT_SUCCEEDED:
            ledger.failed_in_a_row = 0
        elif (transition.prompt_id or ledger.prompt) in ledger.excused:
            return
        elif transition.source in IN_FLIGHT and reason in FAILURES:
            ledger.warm_up_failed(FAILURES[reason], now(), transition.prompt_id or ledger.prompt)
        elif reason is Reason.PERMIT_GRANTED:
            self._check_another_warm_up(name, ledger)

    def _check_another_warm_up(self, name: str, ledger: ServerLedger) -> None:
        waited = now() - ledger.failed_at
        if ledger.failed_in_a_row >= MOST_IN_A_ROW and waited < SHORTEST_SHARE * self._settings.timing.failed_retry_s:
            times = f"{ledger.failed_in_a_row} warm-ups in a row"
            self._fail(
                name, f"repetition: {times} ended as {ledger.failed_as}, and another starts after {waited:.0f} s"
            )
        ledger.granted.append(now())
        while ledger.granted[0] < now() - CONTENTION_WINDOW_S:
            ledger.granted.popleft()
        loses = ledger.plan.profile.evict_every or ledger.plan.profile.unload_every
        if loses and len(ledger.granted) > most_when_contested(self._settings.timing) * len(ledger.plan.workflows):
            self._fail(name, f"contention: {len(ledger.granted)} warm-ups within {CONTENTION_WINDOW_S:.0f} s")


def most_when_contested(timing: Timing) -> int:
    """Return how many warm-ups of a workflow the shortest pauses allow within the window, however soon models are lost.

    On a server that keeps the last workflow's results, each loss of one takes the others with it: this holds for each.
    """
    count, pause_s, at = UNDELAYED, timing.retry_s / 2.0, 0.0
    while (at := at + pause_s) <= CONTENTION_WINDOW_S:
        count, pause_s = count + 1, min(2.0 * pause_s, timing.failed_retry_s / 2.0)
    return count


def now() -> float:
    """Return the loop time."""
    return asyncio.get_running_loop().time()
