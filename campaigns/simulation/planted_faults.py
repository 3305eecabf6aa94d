"""Faults planted in the daemon. The invariants must catch each of them.

Most faults are a faulty part that is passed to the daemon. Those of `PATCHED` replace a module's name during the run,
because the duty table, the link's backoff and the look-up of a prompt are not parameters.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from campaigns.simulation import faulty_functions
from campaigns.simulation import faulty_parts as faulty
from campaigns.simulation.daemon import REAL_PARTS, Parts
from campaigns.simulation.plans import PAGING, RESTORING, STOCK_LAGGING, TALKING, UNLISTING, UNLOADING
from campaigns.simulation.run import run_seed
from campaigns.simulation.scenario import FirstServer
from campaigns.simulation.simulation import Result
from statemachine.core import events
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.vocabulary import State
from statemachine.simulator.profiles import PROFILES

SEEDS = 120
"""Each fault must be caught within this number of seeds."""


@dataclass(frozen=True)
class PlantedFault:
    """One fault. `caught_by`: texts, one of which the violation contains. `seed`: a seed that catches it.

    `first`: the first server, where a fault shows only with servers of one kind.
    """

    name: str
    seed: int
    caught_by: tuple[str, ...]
    parts: Parts = REAL_PARTS
    patches: Mapping[str, Any] = field(default_factory=dict)
    first: FirstServer | None = None


PATCHED: dict[str, dict[str, Any]] = {
    "duties": {
        "statemachine.fleet.runner.DUTIES": {
            **DUTIES, State.AUTO_EXECUTING: frozenset({Duty.WATCH_QUEUE, Duty.RECHECK}),
        }
    },
    "backoff": {"statemachine.fleet.connection.backoff": faulty_functions.no_backoff},
    "no_wait": {
        "statemachine.fleet.after_success.wait_for_history": faulty_functions.does_not_wait,
        "statemachine.fleet.after_success.STALE_HISTORY_S": 0.3,
    },
    "no_restore": {"statemachine.fleet.lookup.RESTORE_S": 0.0},
    "no_load_nodes": {"statemachine.fleet.submission.loads_models": faulty_functions.loads_no_models},
    "find_prompt": {"statemachine.comfyui.client.ComfyClient.find_prompt": faulty_functions.never_found},
}  # fmt: skip

PLANTED_FAULTS = (
    PlantedFault("requests the check while auto-executing", 11, ("auto-executing",), patches=PATCHED["duties"]),
    PlantedFault(
        "reports a busy queue as empty", 11, ("auto-executing", "busy queue"), faulty.with_client(faulty.EmptyQueues)
    ),
    PlantedFault("requests the check with the queue", 11, ("auto-executing",), Parts(transport=faulty.ChecksAtRandom)),
    PlantedFault("retries without a look-up", 1, ("duplicate warm-up",), patches=PATCHED["find_prompt"]),
    PlantedFault(
        "resends a POST without a reply", 1, ("duplicate warm-up",), faulty.with_client(faulty.ResendsUnanswered)
    ),
    PlantedFault(
        "has no grace period for a late POST",
        27,
        ("duplicate warm-up",),
        Parts(settings=faulty_functions.no_lost_grace),
    ),
    PlantedFault("writes the attempt after its POST", 1, ("duplicate warm-up",), Parts(journal=faulty.WritesLater)),
    PlantedFault("loses the open attempts", 59, ("duplicate warm-up",), Parts(journal=faulty.LosesOpenAttempts)),
    PlantedFault("posts to the wrong route", 1, ("forbidden request",), Parts(transport=faulty.WrongRoute)),
    PlantedFault(
        "trusts a success without a check",
        1,
        ("unconfirmed loaded",),
        faulty.with_mailbox(faulty_functions.trusts_success),
    ),
    PlantedFault(
        "ignores the epoch of a check", 2, ("unconfirmed loaded",), faulty.with_check(faulty_functions.ignores_epoch)
    ),
    PlantedFault(
        "reports every server as loaded", 1, ("unconfirmed loaded",), faulty.with_check(faulty_functions.always_cached)
    ),
    PlantedFault(
        "misses a shorter queue",
        2,
        ("unconfirmed loaded",),
        faulty.with_mailbox(faulty_functions.without(events.QueueSeen)),
    ),
    PlantedFault(
        "misses the loss of the link",
        2,
        ("unconfirmed loaded",),
        faulty.with_mailbox(faulty_functions.without(events.LinkLost)),
    ),
    PlantedFault(
        "treats an unusable check as cold",
        3,
        ("unconfirmed cold",),
        faulty.with_check(faulty_functions.unusable_is_cold),
    ),
    PlantedFault(
        "interrupts the users' prompts", 1, ("forbidden request",), faulty.with_client(faulty.InterruptsUsers)
    ),
    PlantedFault("does not wait for a busy queue", 2, ("busy queue",), Parts(settings=faulty_functions.no_busy_wait)),
    PlantedFault("reuses a client id", 1, ("client id reused",), Parts(transport=faulty.SameClientId)),
    PlantedFault("accepts any reply", 3, ("prompt_accepted",), faulty.with_client(faulty.AcceptsAnyReply)),
    PlantedFault(
        "claims the success of a foreign prompt",
        1,
        ("prompt_succeeded",),
        faulty.with_mailbox(faulty_functions.claims_foreign_success),
    ),
    PlantedFault(
        "reports an interrupt as a failure",
        1,
        ("prompt_failed",),
        faulty.with_client(faulty.ReportsInterruptAsFailure),
    ),
    PlantedFault(
        "takes an incomplete list for absence",
        13,
        ("duplicate warm-up",),
        faulty.with_client(faulty.TrustsEveryList),
        first=FirstServer(UNLISTING),
    ),
    PlantedFault(
        "checks before the history has the success",
        1,
        ("premature check",),
        patches=PATCHED["no_wait"],
        first=FirstServer(STOCK_LAGGING),
    ),
    PlantedFault(
        "does not wait for a restored queue",
        6,
        ("duplicate warm-up",),
        patches=PATCHED["no_restore"],
        first=FirstServer(RESTORING),
    ),
    PlantedFault("leaks permits", 1, ("liveness", "budget"), Parts(permits=faulty.LeaksPermits)),
    PlantedFault(
        "looks prompts up without a permit",
        27,
        ("budget",),
        faulty.with_mailbox(faulty_functions.looks_up_without_permit),
    ),
    PlantedFault("ignores the budget", 4, ("budget",), Parts(permits=faulty.IgnoresBudget)),
    PlantedFault(
        "forgets failures when the server restarts",
        1,
        ("repetition",),
        faulty.with_mailbox(faulty_functions.forgets_failures),
        first=FirstServer(PROFILES["dying"]),
    ),
    PlantedFault(
        "forgets failures when the daemon restarts",
        5,
        ("repetition",),
        Parts(journal=faulty.ForgetsFailures),
        first=FirstServer(PROFILES["dying"]),
    ),
    PlantedFault(
        "warms a contested server at once",
        1,
        ("contention",),
        faulty.with_mailbox(faulty_functions.forgets_losses),
        first=FirstServer(PROFILES["evicting"]),
    ),
    PlantedFault(
        "takes an eviction for a warm-up without effect",
        9,
        ("contention",),
        faulty.with_mailbox(faulty_functions.sees_no_foreign_work),
        first=FirstServer(PROFILES["evicting"]),
    ),
    PlantedFault(
        "misses that models leave memory",
        1,
        ("unconfirmed loaded",),
        faulty.with_mailbox(faulty_functions.without(events.CacheReported)),
        first=FirstServer(PAGING, "vram"),
    ),
    PlantedFault(
        "ignores the levels of a check",
        1,
        ("unconfirmed loaded",),
        faulty.with_check(faulty_functions.ignores_levels),
        first=FirstServer(PAGING, "vram"),
    ),
    PlantedFault(
        "warms paged models where the key is enough",
        1,
        ("unconfirmed cold",),
        faulty.with_check(faulty_functions.wants_memory),
        first=FirstServer(PAGING),
    ),
    PlantedFault(
        "sets only the keys",
        45,
        ("levels", "liveness"),
        patches=PATCHED["no_load_nodes"],
        first=FirstServer(PAGING, "vram"),
    ),
    PlantedFault(
        "warms unloaded models at once",
        1,
        ("contention",),
        faulty.with_mailbox(faulty_functions.forgets_losses),
        first=FirstServer(UNLOADING, "vram"),
    ),
    PlantedFault(
        "lets talk postpone the end of a warm-up",
        9,
        ("endless warm-up",),
        faulty.with_mailbox(faulty_functions.counts_talk),
        first=FirstServer(TALKING),
    ),
    PlantedFault("reconnects without backoff", 2, ("rate limit",), patches=PATCHED["backoff"]),
)


@contextmanager
def planted(planted_fault: PlantedFault) -> Iterator[None]:
    """Apply the patches of a planted fault."""
    patches = [mock.patch(name, value) for name, value in planted_fault.patches.items()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def run_planted_fault(index: int) -> tuple[str, Result | None]:
    """Return the name of a planted fault and the result of the run that caught it, or None."""
    planted_fault = PLANTED_FAULTS[index]
    with planted(planted_fault):
        for seed in (planted_fault.seed, *range(1, SEEDS)):
            result = run_seed(seed, parts=planted_fault.parts, first=planted_fault.first)
            if result.violation is not None and any(rule in result.violation for rule in planted_fault.caught_by):
                return planted_fault.name, result
    return planted_fault.name, None
