"""Faults planted in the daemon, each by handing it a wrong part: a judge that lets one of them live is no judge.

Three mutants (`PATCHED`) replace a name of a module instead, for the time of the run and in this harness only: the duty
table, the link's backoff and the look-up of a prompt's fate are plain functions and tables that nobody passes in.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from statemachine.core import events
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.vocabulary import State
from tests.simulation import wrong_parts as wrong
from tests.simulation.life import RIGHT, Parts
from tests.simulation.world import Result, run_seed

SEEDS = 120
"""Each must be caught within so many."""


@dataclass(frozen=True)
class Mutant:
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
    "backoff": {"statemachine.fleet.connection.backoff": wrong.no_backoff},
    "look_up": {"statemachine.fleet.submission.look_up": wrong.never_found},
}  # fmt: skip

MUTANTS = (
    Mutant("checks while the server loads by itself", 22, ("rule 3",), patches=PATCHED["duties"]),
    Mutant("takes a busy queue for a dry one", 11, ("rule 3", "rule 6"), wrong.with_client(wrong.EmptyQueues)),
    Mutant("asks the check beside the queue", 11, ("rule 3",), Parts(transport=wrong.ChecksAtRandom)),
    Mutant("looks nothing up before it sends again", 1, ("rule 2",), patches=PATCHED["look_up"]),
    Mutant("sends an unanswered POST again", 1, ("rule 2",), wrong.with_client(wrong.Resending)),
    Mutant("grants no time to a late POST", 7, ("rule 2",), Parts(settings=wrong.impatient)),
    Mutant("writes the attempt after its POST", 1, ("rule 2",), Parts(journal=wrong.WritesLater)),
    Mutant("forgets what was in flight", 166, ("rule 2",), Parts(journal=wrong.Forgetful)),
    Mutant("posts to the wrong route", 1, ("rules 1 and 6",), Parts(transport=wrong.WrongRoute)),
    Mutant("believes a success without a check", 1, ("rule 4",), wrong.with_mailbox(wrong.believes_success)),
    Mutant("ignores the epoch of an answer", 4, ("rule 4",), wrong.with_check(wrong.ignores_epoch)),
    Mutant("takes everything for cached", 1, ("rule 4",), wrong.with_check(wrong.always_cached)),
    Mutant("does not hear that the queue fell", 1, ("rule 4",), wrong.with_mailbox(wrong.without(events.QueueSeen))),
    Mutant("does not hear that the link is lost", 1, ("rule 4",), wrong.with_mailbox(wrong.without(events.LinkLost))),
    Mutant("takes what it does not understand for cold", 1, ("rule 5",), wrong.with_check(wrong.cold_when_unsure)),
    Mutant("interrupts the users' work", 1, ("rules 1 and 6",), wrong.with_client(wrong.Ruthless)),
    Mutant("does not wait for the users", 2, ("rule 6",), Parts(settings=wrong.inconsiderate)),
    Mutant("uses a client id twice", 1, ("rule 7",), Parts(transport=wrong.SameClientId)),
    Mutant("takes any 200 for accepted", 1, ("prompt_accepted",), wrong.with_client(wrong.Credulous)),
    Mutant(
        "takes a foreign success for its own", 3, ("prompt_succeeded",), wrong.with_mailbox(wrong.takes_all_for_its_own)
    ),
    Mutant("takes an interrupt for a failure", 21, ("prompt_failed",), wrong.with_client(wrong.NoInterrupts)),
    Mutant("leaks permits", 1, ("liveness", "budget"), Parts(permits=wrong.Leaking)),
    Mutant("ignores the budget", 4, ("budget",), Parts(permits=wrong.Generous)),
    Mutant("dials without backing off", 1, ("rule 8",), patches=PATCHED["backoff"]),
)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """With its names replaced, if it has any."""
    patches = [mock.patch(name, value) for name, value in mutant.patches.items()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def hunt(index: int) -> tuple[str, Result | None]:
    """The world that caught the mutant of this number, None if it survived all of them."""
    mutant = MUTANTS[index]
    with planted(mutant):
        for seed in (mutant.seed, *range(1, SEEDS)):
            result = run_seed(seed, parts=mutant.parts)
            if result.violation is not None and any(rule in result.violation for rule in mutant.caught_by):
                return mutant.name, result
    return mutant.name, None
