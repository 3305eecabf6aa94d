"""Faults planted in the daemon; the invariants must catch each.

Most faults are a faulty part that is passed to the daemon. Those of `PATCHED` replace a name of a module while the run
lasts, because nothing passes in the duty table, the link's backoff and the look-up of a prompt.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from campaigns.simulation import faulty_parts as faulty
from campaigns.simulation.daemon import RIGHT, Parts
from campaigns.simulation.world import Result, run_seed
from statemachine.core import events
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.vocabulary import State

SEEDS = 120
"""Each must be caught within so many."""


@dataclass(frozen=True)
class PlantedFault:
    """`caught_by`: what the violation must say. `seed`: the world to begin with, which is known to catch it fast."""

    name: str
    seed: int
    caught_by: tuple[str, ...]
    parts: Parts = RIGHT
    patches: Mapping[str, Any] = field(default_factory=dict)


PATCHED: dict[str, dict[str, Any]] = {
    "duties": {
        "statemachine.fleet.runner.DUTIES": {
            **DUTIES, State.AUTO_EXECUTING: frozenset({Duty.WATCH_QUEUE, Duty.RECHECK}),
        }
    },
    "backoff": {"statemachine.fleet.connection.backoff": faulty.no_backoff},
    "look_up": {"statemachine.fleet.submission.look_up": faulty.never_found},
}  # fmt: skip

PLANTED_FAULTS = (
    PlantedFault("checks while the server loads by itself", 22, ("rule 3",), patches=PATCHED["duties"]),
    PlantedFault("takes a busy queue for a dry one", 11, ("rule 3", "rule 6"), faulty.with_client(faulty.EmptyQueues)),
    PlantedFault("asks the check beside the queue", 11, ("rule 3",), Parts(transport=faulty.ChecksAtRandom)),
    PlantedFault("looks nothing up before it sends again", 1, ("rule 2",), patches=PATCHED["look_up"]),
    PlantedFault("sends an unanswered POST again", 1, ("rule 2",), faulty.with_client(faulty.Resending)),
    PlantedFault("grants no time to a late POST", 7, ("rule 2",), Parts(settings=faulty.impatient)),
    PlantedFault("writes the attempt after its POST", 1, ("rule 2",), Parts(journal=faulty.WritesLater)),
    PlantedFault("forgets what was in flight", 166, ("rule 2",), Parts(journal=faulty.Forgetful)),
    PlantedFault("posts to the wrong route", 1, ("rules 1 and 6",), Parts(transport=faulty.WrongRoute)),
    PlantedFault("believes a success without a check", 1, ("rule 4",), faulty.with_mailbox(faulty.believes_success)),
    PlantedFault("ignores the epoch of an answer", 4, ("rule 4",), faulty.with_check(faulty.ignores_epoch)),
    PlantedFault("takes everything for cached", 1, ("rule 4",), faulty.with_check(faulty.always_cached)),
    PlantedFault(
        "does not hear that the queue fell", 1, ("rule 4",), faulty.with_mailbox(faulty.without(events.QueueSeen))
    ),
    PlantedFault(
        "does not hear that the link is lost", 1, ("rule 4",), faulty.with_mailbox(faulty.without(events.LinkLost))
    ),
    PlantedFault(
        "takes what it does not understand for cold", 1, ("rule 5",), faulty.with_check(faulty.cold_when_unsure)
    ),
    PlantedFault("interrupts the users' work", 1, ("rules 1 and 6",), faulty.with_client(faulty.Ruthless)),
    PlantedFault("does not wait for the users", 2, ("rule 6",), Parts(settings=faulty.inconsiderate)),
    PlantedFault("uses a client id twice", 1, ("rule 7",), Parts(transport=faulty.SameClientId)),
    PlantedFault("takes any 200 for accepted", 1, ("prompt_accepted",), faulty.with_client(faulty.Credulous)),
    PlantedFault(
        "takes a foreign success for its own",
        3,
        ("prompt_succeeded",),
        faulty.with_mailbox(faulty.takes_all_for_its_own),
    ),
    PlantedFault("takes an interrupt for a failure", 21, ("prompt_failed",), faulty.with_client(faulty.NoInterrupts)),
    PlantedFault("leaks permits", 1, ("liveness", "budget"), Parts(permits=faulty.Leaking)),
    PlantedFault("ignores the budget", 4, ("budget",), Parts(permits=faulty.Generous)),
    PlantedFault("dials without backing off", 1, ("rule 8",), patches=PATCHED["backoff"]),
)


@contextmanager
def planted(planted_fault: PlantedFault) -> Iterator[None]:
    """With its names replaced, if it has any."""
    patches = [mock.patch(name, value) for name, value in planted_fault.patches.items()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def hunt(index: int) -> tuple[str, Result | None]:
    """The world that caught the planted fault of this number, None if it survived all of them."""
    planted_fault = PLANTED_FAULTS[index]
    with planted(planted_fault):
        for seed in (planted_fault.seed, *range(1, SEEDS)):
            result = run_seed(seed, parts=planted_fault.parts)
            if result.violation is not None and any(rule in result.violation for rule in planted_fault.caught_by):
                return planted_fault.name, result
    return planted_fault.name, None
