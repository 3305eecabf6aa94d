"""Rules for how long something may last, checked at intervals against the servers themselves."""

from collections.abc import Callable

from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.observations import is_below
from campaigns.simulation.rules import now
from statemachine.core.vocabulary import IN_FLIGHT, State
from statemachine.settings import Settings

NOTICED_SHARE = 1.25
"""The time within which a check must notice lower levels, in intervals of the check. A frame is quicker."""

SLACK_S = 180.0
"""Time for requests without an answer and for pauses after a rate limit."""


class LastingRules:
    """Check each server now and then; call `fail(server, what)` for each violation."""

    def __init__(self, settings: Settings, fail: Callable[[str, str], None]) -> None:
        timing = settings.timing
        self._fail = fail
        self._noticed_within_s = SLACK_S + NOTICED_SHARE * max(timing.node_check_interval_s, timing.check_interval_s)
        self._longest_s = timing.warm_timeout_s + SLACK_S
        self._warmed_within_s = 4.0 * (timing.failed_retry_s + timing.warm_timeout_s + timing.busy_wait_s)
        self._warmed_within_s += self._noticed_within_s

    def check(self, ledger: ServerLedger, *, calm: bool) -> None:
        """Check one server now. `calm`: there are no faults."""
        self._check_levels(ledger, calm=calm)
        self._check_warm_up(ledger)

    def _check_levels(self, ledger: ServerLedger, *, calm: bool) -> None:
        """Check that models below the wanted level are noticed, and loaded again."""
        if not keys_below(ledger):
            ledger.below_since = None
            return
        ledger.below_since = now() if ledger.below_since is None else ledger.below_since
        lasted = now() - max(ledger.below_since, ledger.calm_since if calm else 0.0)
        what = f"models of {', '.join(keys_below(ledger))} are below {ledger.plan.warm} for {lasted:.0f} s"
        if ledger.state is State.LOADED and lasted > self._noticed_within_s:
            self._fail(ledger.plan.name, f"levels: loaded, but {what}")
        elif calm and ledger.plan.stays_loaded and lasted > self._warmed_within_s:
            self._fail(ledger.plan.name, f"levels: {what}")

    def _check_warm_up(self, ledger: ServerLedger) -> None:
        """Check that a warm-up without progress ends, however much its server talks.

        A new process of the server may have the prompt from a restored queue, so the limit begins again with it.
        """
        process = ledger.wire.server.process
        if process is not ledger.process:
            ledger.process, ledger.progressed_at = process, now()
        lasted = now() - ledger.progressed_at
        if ledger.state in IN_FLIGHT and lasted > self._longest_s:
            self._fail(ledger.plan.name, f"endless warm-up: no progress for {lasted:.0f} s")

    def check_calm(self, ledger: ServerLedger, warm_ups: int) -> None:
        """Check at the end that no loss has caused more than one warm-up of each workflow.

        When the faults ended a loss may have been unnoticed, and a round not complete.
        """
        profile, workflows = ledger.plan.profile, ledger.plan.workflows
        posted, losses = warm_ups - ledger.calm_warm_ups, ledger.wire.server.losses - ledger.calm_losses
        most = (losses + 1) * len(workflows) + ledger.calm_rest
        if (profile.evict_every or profile.unload_every) and posted > most:
            self._fail(ledger.plan.name, f"oscillation: {posted} warm-ups after {losses} losses")
        must_hold = ledger.plan.stays_loaded and not profile.unload_every
        if must_hold and ledger.state is State.LOADED and keys_below(ledger):
            self._fail(ledger.plan.name, f"levels: loaded at the end, but not at {ledger.plan.warm}")


def keys_below(ledger: ServerLedger) -> list[str]:
    """Return the cached keys whose models are below the wanted level on the server, while it is up."""
    server, wanted = ledger.wire.server, ledger.plan.warm
    companion = server.process.companion
    if companion is None or not server.up:
        return []
    cached = {**companion.kept, **server.process.keys}
    return [key for key, level in companion.levels.items() if key in cached and is_below(level, wanted)]
