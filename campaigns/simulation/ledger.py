"""The state that the invariants keep about one server and about a shared fleet."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from campaigns.simulation.plans import Plan
from campaigns.simulation.wire import Wire
from statemachine.cluster.records import Record
from statemachine.core.log_entry import Transition
from statemachine.core.vocabulary import IN_FLIGHT, Reason, State
from statemachine.simulator.prompt_queue import Item

KEPT_FAILURES = frozenset({"lost", "interrupted"})
"""Failures that the next daemon counts too. It tries once more what fails at the first time."""

STAYED_S = 60.0
"""Models that are loaded for this long have stayed."""


@dataclass
class SharedLedger:
    """State of the whole fleet. `fleet` returns the ledger of each server; the sets hold ids."""

    fleet: Callable[[], Iterable["ServerLedger"]]
    committed: set[str] = field(default_factory=set)
    posted: set[str] = field(default_factory=set)
    client_ids: set[str] = field(default_factory=set)
    submission: asyncio.Event = field(default_factory=asyncio.Event)
    """Set briefly when a prompt is about to be stored and when it is posted."""

    def record_written(self, record: Record) -> None:
        """Count the attempt in a shared server record as committed."""
        if record.attempt is not None:
            self.committed.add(str(record.attempt[0]))


@dataclass
class ServerLedger:
    """The state of one server. Integers without a unit are ticks, which count events; `_at` is loop time."""

    plan: Plan
    wire: Wire
    state: State = State.UNKNOWN
    link: str | None = None
    was_linked: bool = False
    dialled: int = 0
    """Connections that were begun since the daemon's start, or since the server's return from a hook."""
    remaining: int | None = None
    own_decreases: int = 0
    last_change: int = 0
    verdicts: dict[str, tuple[int, bool]] = field(default_factory=dict)
    missing: int = 0
    missing_at: float = -1e9
    unusable: int = 0
    missing_since: float | None = None
    loaded: int = 0
    auto_executing: bool = False
    companion: tuple[str, int | None] | None = None
    failures: int = 0
    last_queue: int = 0
    moved_at: float = 0.0
    """When the prompt in flight made its last progress that reached the daemon."""
    posted_at: float = 0.0
    progressed_at: float = 0.0
    process: object = None
    """The server's process at the last check of what lasts."""
    """As `moved_at`, but not before this daemon began to wait for the prompt, or after it was away."""
    figures: dict[str, float] = field(default_factory=dict)
    """How far each node of the prompt in flight was at most."""
    below_since: float | None = None
    """When the server's models were first seen below the wanted level."""
    calm_since: float = 0.0
    calm_losses: int = 0
    calm_warm_ups: int = 0
    """Losses on the server and warm-ups when the faults ended."""
    in_round: bool = False
    """Whether a workflow was warmed since the server was last loaded, so that the others may follow."""
    calm_rest: int = 0
    """How many warm-ups may be left of the round in which the faults ended."""
    recovered_at: float = -1e9
    prompt: str = ""
    server_prompt: str = ""
    """The id that the server gave the prompt, which old versions choose themselves."""
    knows_server_prompt: bool = False
    """Whether a reply has told the daemon this id."""
    stuck_prompt: str | None = None
    confirmed: dict[str, set[str]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    dials: deque[float] = field(default_factory=deque)
    requests: deque[float] = field(default_factory=deque)
    reached: set[Reason] = field(default_factory=set)
    failed_as: str = ""
    failed_in_a_row: int = 0
    failed_at: float = -1e9
    failed_prompt: str | None = None
    excused: set[str] = field(default_factory=set)
    """Prompts in flight that a restart hook may have ended with the server's process."""
    granted: deque[float] = field(default_factory=deque)
    loaded_since: float | None = None

    def reset(self, at: float) -> None:
        """Forget what a new server task does not know. The journal keeps some failures in a row."""
        self.link, self.remaining, self.own_decreases, self.auto_executing, self.failures = None, None, 0, False, 0
        self.missing_since, self.moved_at, self.progressed_at, self.was_linked = None, at, at, False
        self.companion, self.knows_server_prompt, self.dialled = None, False, 0
        self.granted.clear()
        self.loaded_since = None
        if self.failed_as not in KEPT_FAILURES:
            self.forget_failures()
        self.verdicts.clear()
        self.dials.clear()
        self.requests.clear()

    def mentions_prompt(self, text: str) -> bool:
        """Return whether a frame or a reply has the id of the prompt in flight."""
        return any(one in text for one in (self.prompt, self.server_prompt) if one)

    def calm_from(self, at: float, warm_ups: int) -> None:
        """Count from the end of the faults."""
        self.reached.clear()
        self.calm_since, self.calm_losses, self.calm_warm_ups = at, self.wire.server.losses, warm_ups
        self.calm_rest = len(self.plan.workflows) - 1 if self.in_round else 0

    def note_in_flight(self, transition: Transition, at: float) -> None:
        """Note when the daemon began to wait for a prompt, or received the answer to its POST."""
        if transition.source not in IN_FLIGHT or transition.reason is Reason.PROMPT_ACCEPTED:
            self.progressed_at = at

    def note_reached(self, reason: Reason) -> None:
        """Note the reason of a transition, unless it judges a warm-up from the time of the faults once more."""
        if reason is not Reason.STILL_COLD_AFTER_SUCCESS or self.posted_at >= self.calm_since:
            self.reached.add(reason)

    def note_restart(self, transition: Transition, tick: int) -> None:
        """Note that a hook begins, or that another process is back: earlier checks are about the process before.

        The first connection to a process that is back is no change, as the first one of a daemon is none: it begins
        together with the first check.
        """
        if transition.dest is State.RESTARTING or transition.reason is Reason.SERVER_RETURNED:
            self.last_change = tick
        if transition.reason is Reason.SERVER_RETURNED:
            self.was_linked, self.dialled = self.link is not None, 0

    def note_round(self, transition: Transition) -> None:
        """Note that a warm-up begins or continues a round, which ends when the server is loaded."""
        if transition.reason is Reason.PERMIT_GRANTED or transition.dest is State.LOADED:
            self.in_round = transition.dest is not State.LOADED

    def note_stay(self, state: State, at: float) -> None:
        """Forget earlier warm-ups when models are lost that have stayed: those to come belong to another series."""
        if state is State.LOADED:
            self.loaded_since = at if self.loaded_since is None else self.loaded_since
        elif state is State.COLD:
            if self.loaded_since is not None and at - self.loaded_since > STAYED_S:
                self.granted.clear()
            self.loaded_since = None

    def note_figures(self, figures: dict[str, float], at: float) -> None:
        """Note progress: a node that starts, or is farther than before."""
        if any(value > self.figures.get(node, -1.0) for node, value in figures.items()):
            self.moved_at = self.progressed_at = at
        self.figures |= {node: max(value, self.figures.get(node, -1.0)) for node, value in figures.items()}

    def forget_failures(self) -> None:
        """Forget earlier warm-ups, as an operator who orders one does."""
        self.failed_as, self.failed_in_a_row = "", 0
        self.granted.clear()

    def warm_up_failed(self, kind: str, at: float, prompt_id: str | None) -> None:
        """Count warm-ups in a row that failed in the same way.

        A daemon that could not record the end of a warm-up leaves it to the next one, which finds the same end.
        """
        if kind != self.failed_as or prompt_id != self.failed_prompt:
            self.failed_in_a_row = self.failed_in_a_row + 1 if kind == self.failed_as else 1
        self.failed_as, self.failed_at, self.failed_prompt = kind, at, prompt_id


def _items_of_ours(ledger: ServerLedger) -> list[Item]:
    server = ledger.wire.server
    queue = server.process.queue
    items = [*queue.pending, *([queue.running] if queue.running else []), *server.unrestored]
    return [item for item in items if "comfywarm" in item.extra_data]


def workflows_of_ours(ledger: ServerLedger) -> list[str]:
    """Return the workflow of each of the daemon's prompts in the server's queue, or to be restored to it."""
    return [str(item.extra_data["comfywarm"]["workflow"]) for item in _items_of_ours(ledger)]


def prompts_of_ours(ledger: ServerLedger) -> list[str]:
    """Return the daemon's id of each of its prompts in the server's queue, or to be restored to it."""
    return [str(item.extra_data["comfywarm"]["attempt"]) for item in _items_of_ours(ledger)]
