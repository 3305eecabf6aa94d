"""The rules that a transition must keep, judged by what had been delivered to the daemon and by what is in flight."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from campaigns.simulation.ledger import ServerLedger, prompts_of_ours
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.settings import Settings

IN_FLIGHT = (State.SUBMITTING, State.WARMING)
MISSING_IS_NEW_S = 25.0
"""A check may consist of two requests, so a verdict `missing` can be that old when it is acted upon."""

RECOVERY_IS_NEW_S = 25.0
"""What is found to be in flight after all counts in any case; who held a permit by then may still start."""

NEVER_TRUE_HERE = {Reason.CHECK_ABSENT, Reason.ACCESS_DENIED, Reason.WORKFLOW_NOT_API_FORMAT}
"""No server of these worlds is such, and no fault of the network says so."""


PROOFS: Mapping[Reason, str] = {
    Reason.PROMPT_ACCEPTED: "accepted",
    Reason.PROMPT_SUCCEEDED: "success",
    Reason.PROMPT_FAILED: "error",
    Reason.OUT_OF_MEMORY: "error",
    Reason.PROMPT_INTERRUPTED: "interrupted",
}


class TransitionRules:
    """`accuse(server, what)` hears of every breach."""

    def __init__(
        self, settings: Settings, fleet: Callable[[], Iterable[ServerLedger]], accuse: Callable[[str, str], None]
    ) -> None:
        self._settings, self._fleet, self._accuse = settings, fleet, accuse

    def check(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        """Check one transition, which the ledger already contains."""
        for rule in (self._loaded_is_proved, self._cold_is_proved, self._start_is_allowed, self._reason_is_true):
            rule(name, ledger, transition)

    def _loaded_is_proved(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.dest is not State.LOADED:
            return
        for kind in ledger.plan.check_kinds:
            ticket, cached = ledger.verdicts.get(kind, (-1, False))
            if not cached or ticket < ledger.evidence or transition.reason is not Reason.ALL_CACHED:
                self._accuse(name, f"rule 4: loaded without a {kind} check that said so after the last evidence")

    def _cold_is_proved(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.dest is not State.COLD or transition.reason is Reason.JOURNAL_UNAVAILABLE:
            return
        fresh = ledger.missing > ledger.unusable and now() - ledger.missing_at <= MISSING_IS_NEW_S
        if not fresh or transition.witness is not Source.CHECK:
            self._accuse(name, "rule 5: cold without a check that said that something is missing")

    def _start_is_allowed(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        if transition.reason is not Reason.PERMIT_GRANTED:
            return
        since = now() - RECOVERY_IS_NEW_S
        busy = [one for one in self._fleet() if one.state in IN_FLIGHT and one.recovered_at < since]
        same_host = [one for one in busy if one.plan.host == ledger.plan.host]
        limits = self._settings.limits
        if len(busy) > limits.max_warming or len(same_host) > limits.max_warming_per_host:
            self._accuse(name, f"budget: {len(busy)} in flight, {len(same_host)} of them on {ledger.plan.host}")
        waited = now() - (ledger.missing_since if ledger.missing_since is not None else now())
        if ledger.last_queue and waited < self._settings.timing.busy_wait_s - 1.0:
            self._accuse(name, f"rule 6: submitted behind {ledger.last_queue} prompts after waiting {waited:.0f} s")

    def _reason_is_true(self, name: str, ledger: ServerLedger, transition: Transition) -> None:
        reason, prompt_id = transition.reason, transition.prompt_id or ledger.prompt
        proof, persona = PROOFS.get(reason), ledger.plan.persona
        if proof and proof not in ledger.proofs.get(prompt_id, ()):
            self._accuse(name, f"{reason.value}: nothing delivered to the daemon proves it")
        elif reason in (Reason.PROMPT_LOST, Reason.SERVER_RESTARTED) and transition.source in IN_FLIGHT:
            if prompt_id in ledger.wire.travelling or prompt_id in prompts_of_ours(ledger):
                self._accuse(name, f"rule 2: {reason.value}, but {prompt_id} may still run")
        elif reason is Reason.QUEUE_STUCK:
            if now() - ledger.moved_at < self._settings.timing.warm_timeout_s - 15.0:
                self._accuse(name, f"queue_stuck: it moved {now() - ledger.moved_at:.0f} s ago")
        elif reason in NEVER_TRUE_HERE or (
            (reason is Reason.MISSING_NODES and not persona.missing_classes)
            or (reason is Reason.MISSING_MODELS and persona.model_files)
        ):
            self._accuse(name, f"{reason.value} is not true of this server: {transition.message}")


def now() -> float:
    """Loop time."""
    return asyncio.get_running_loop().time()
