"""The invariants of the machine, checked on random histories of a server."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import MACHINE, MachineDriver, accepted

S, R = State, Reason
SUBMITTING_ENTRIES = {(S.COLD, R.PERMIT_GRANTED), (S.UNKNOWN, R.PROMPT_IN_DOUBT)}
CHECKED_IN = (S.CHECKING, S.LOADED, S.COLD)
NODES = st.lists(st.sampled_from(["10", "20", "21"]), unique=True).map(tuple)
INTERLEAVED = st.lists(
    st.sampled_from([
        "queue 0", "queue 1", "queue 2", "link", "success", "failure", "cached", "progress", "keys lost",
        "keys present", "lost frame", "truncated", "old frame", "new instance",
    ]),
    max_size=4,
)  # fmt: skip
"""Events that may arrive between two actions of the daemon."""

CACHE_FRAMES: dict[str, tuple[int, frozenset[str], bool]] = {
    "keys lost": (1, frozenset(), False),
    "keys present": (1, frozenset({"k1", "k2"}), False),
    "lost frame": (2, frozenset({"k1", "k2"}), False),
    "truncated": (1, frozenset(), True),
    "old frame": (0, frozenset(), False),
    "new instance": (1, frozenset({"k1", "k2"}), False),
}
"""The steps since the last sequence number, the keys present, and whether the list is truncated."""

OTHER_EVENTS: list[e.Event] = [
    e.RetryDue(),
    e.RetryDue(),
    e.PauseRequested(),
    e.ResumeRequested(),
    e.ResumeRequested(),
    e.QueueDrained(),
    e.ForeignLoadDetected(verbatim("prompt x")),
    e.PreflightFailed(R.MISSING_NODES, verbatim("no such class")),
    e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?")),
    e.CheckUnusable(R.ACCESS_DENIED, verbatim("401")),
    e.CheckUnusable(R.RATE_LIMITED, verbatim("429")),
    e.SubmissionLimited(verbatim("429")),
    e.NotAnswering(verbatim("timed out")),
    e.NotAnswering(verbatim("timed out"), held=True),
    e.Answering(),
    e.SubmissionUnanswered(verbatim("timed out"), answered=False),
    e.SubmissionUncertain(),
    e.SubmissionStarted("cache_models", "not cold", "c", varied_tag=False, total_nodes=4),
]


class ServerHistory(RuleBasedStateMachine):
    """Run the fleet's tasks in any order, with changes between any two steps.

    `changed` counts the changes of the server by rules of its own. A check confirms only the count at its request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.driver = MachineDriver()
        self.prompts = 0
        self.changed = 0
        self.early_frames = 0
        """Frames that arrived before the first answer of the node. They make a pending answer stale."""
        self.confirmed_at: int | None = None
        self.queue: int | None = None
        self.end_reported = False
        self.linked_before = False
        self.instance, self.sequence = 0, 0
        self.known: tuple[int, int | None] | None = None
        """The instance and sequence number that the daemon knows, or None before the first answer."""

    @property
    def state(self) -> State:
        return self.driver.state

    @property
    def open(self) -> Attempt | None:
        return self.driver.server.open_attempt

    def apply(self, event: e.Event) -> None:
        """Apply an event, and check the transitions that it makes."""
        before, source = self.open, self.state
        self.driver.now += 1
        for one in MACHINE.apply(self.driver.server, event, self.driver.now):
            assert one.source is source
            source = one.dest
            if one.dest is S.SUBMITTING:
                assert (one.source, one.reason) in SUBMITTING_ENTRIES
            if one.dest is S.LOADED:
                assert isinstance(event, e.CheckAnswered)
                assert not event.needed
            if one.source is S.PAUSED:
                assert isinstance(event, e.ResumeRequested)
        assert source is self.state
        if before is not None and before.is_open:
            assert self.open is before
        self.check_state_invariants()

    def check_state_invariants(self) -> None:
        """Check the invariants of the state, also between the steps of one rule."""
        if self.state is S.LOADED:
            assert self.confirmed_at == self.changed
        if self.state in (S.SUBMITTING, S.WARMING):
            assert self.open is not None
        if self.state in (S.CHECKING, S.LOADED, S.COLD, S.AUTO_EXECUTING):
            assert self.open is None
        attempt = self.driver.server.attempt
        assert attempt is None or 0.0 <= attempt.progress <= 1.0

    def interleave(self, kinds: list[str]) -> None:
        for kind in kinds:
            if kind.startswith("queue"):
                self.set_queue(int(kind[-1]))
            elif kind == "link":
                self.toggle_link(refused=False)
            elif kind in ("success", "failure"):
                self.report_end(success=kind == "success")
            elif kind in CACHE_FRAMES:
                self.cache_frame(kind)
            elif self.driver.server.attempt is not None:
                prompt_id = self.driver.attempt.prompt_id
                cached = e.PromptCached(prompt_id, ("10", "20"))
                self.apply(cached if kind == "cached" else e.PromptProgress(prompt_id, 1.5))

    def cache_frame(self, kind: str) -> None:
        """Send a frame of the companion node."""
        if kind == "new instance":
            self.instance, self.sequence = self.instance + 1, 0
        steps, present, truncated = CACHE_FRAMES[kind]
        self.sequence = max(0, self.sequence + steps)
        self.early_frames += self.known is None
        if self.known is not None:
            instance, known_sequence = self.known
            newer = known_sequence is None or self.sequence > known_sequence
            gap = known_sequence is not None and self.sequence > known_sequence + 1
            if instance != self.instance or gap or (newer and not (present or truncated)):
                self.changed += 1
            if instance != self.instance or newer:
                self.known = (self.instance, self.sequence)
        self.apply(e.CacheReported(f"instance {self.instance}", self.sequence, present, truncated))

    def set_queue(self, remaining: int) -> None:
        self.changed += self.queue is not None and remaining < self.queue
        self.queue = remaining
        self.apply(e.QueueSeen(remaining, Source.WS))

    def toggle_link(self, *, refused: bool) -> None:
        self.queue = None
        if self.driver.server.client_id:
            self.changed += 1
            self.known = self.known and (self.known[0], None)
            self.apply(e.LinkLost(verbatim("closed")))
        else:
            self.changed += self.linked_before
            self.linked_before = True
            self.apply(e.LinkOpened("c", refused_before=refused))

    def report_end(self, *, success: bool) -> None:
        """Send the end of our prompt. The first one also announces that the queue gets shorter by one."""
        if self.driver.server.attempt is None:
            return
        prompt_id = self.driver.attempt.prompt_id
        if self.open is not None and not self.end_reported:
            self.end_reported = True
            self.changed += 1
            self.queue = self.queue - 1 if self.queue else self.queue
        failure = e.PromptFailed(prompt_id, Source.WS, verbatim("raised"), out_of_memory=False)
        self.apply(e.PromptSucceeded(prompt_id, Source.WS) if success else failure)

    # Actions of the daemon.

    @initialize(linked=st.booleans())
    def begin(self, linked: bool) -> None:
        if linked:
            self.toggle_link(refused=False)

    @precondition(lambda self: self.state in (S.UNKNOWN, *CHECKED_IN))
    @rule(interleave=INTERLEAVED, missing=st.sampled_from([(), (), ("k1",), ("k1", "k2")]), auto=st.booleans(),
          by_node=st.booleans())  # fmt: skip
    def check(self, interleave: list[str], missing: tuple[str, ...], auto: bool, by_node: bool) -> None:
        """Look up an open prompt first; else check, and answer after the interleaved events."""
        if self.state is S.UNKNOWN:
            self.apply(e.SubmissionUncertain() if self.open else e.CheckStarted())
        if self.state not in CHECKED_IN:
            return
        epoch, at_asking = self.driver.server.epoch, (self.changed, self.early_frames)
        instance, sequence = self.instance, self.sequence
        self.interleave(interleave)
        fresh, before = (self.changed, self.early_frames) == at_asking, self.state
        if before not in CHECKED_IN:
            return
        if fresh and not missing:
            self.confirmed_at = self.changed
        needed = ("cache_models",) if missing else ()
        node_cursor = e.NodeCursor(f"instance {instance}", sequence, ("k1", "k2")) if by_node else None
        if fresh or missing:
            later = self.known[1] or 0 if self.known is not None and self.known[0] == instance else 0
            self.known = (instance, max(sequence, later)) if by_node else None
        kind = "node" if by_node else "text"
        self.apply(e.CheckAnswered(kind, missing, needed, bool(missing) and auto, epoch, node_cursor))
        assert fresh or self.state is not S.LOADED or before is S.LOADED

    @precondition(lambda self: self.state is S.COLD)
    @rule(interleave=INTERLEAVED, varied=st.booleans())
    def submit(self, interleave: list[str], varied: bool) -> None:
        self.prompts += 1
        self.end_reported = False
        nodes = {"20": "k1", "21": "k2"}
        self.apply(e.SubmissionStarted("cache_models", f"p{self.prompts}", "c", varied, 4, nodes))
        assert self.state is S.SUBMITTING
        self.interleave(interleave)

    @precondition(lambda self: self.state is S.SUBMITTING)
    @rule(kind=st.sampled_from(["accepted"] * 4 + ["refused", "partly", "withheld"]), interleave=INTERLEAVED)
    def reply(self, kind: str, interleave: list[str]) -> None:
        prompt_id = self.driver.attempt.prompt_id
        replies: dict[str, e.Event] = {
            "accepted": accepted(prompt_id, "theirs"),
            "refused": e.PromptRefused(R.PROMPT_REFUSED, verbatim("no")),
            "partly": e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True),
            "withheld": e.SubmissionWithheld(verbatim("disk full")),
        }
        self.apply(replies[kind])
        self.interleave(interleave)

    @precondition(lambda self: self.state in (S.SUBMITTING, S.WARMING))
    @rule(kind=st.integers(0, 4), cached=NODES)
    def look_up(self, kind: int, cached: tuple[str, ...]) -> None:
        prompt_id = self.driver.attempt.prompt_id
        found: list[e.Event] = [
            e.PromptSucceeded(prompt_id, Source.HISTORY, cached),
            e.PromptFailed(prompt_id, Source.HISTORY, verbatim("raised"), out_of_memory=True),
            e.PromptInterrupted(prompt_id, Source.HISTORY),
            e.PromptAbsent(R.PROMPT_LOST, verbatim("gone")),
            e.PromptStuck(verbatim("no progress")),
        ]
        self.changed += kind < 4
        self.apply(found[kind])

    # Events of the server and the operator.

    @rule(kinds=INTERLEAVED)
    def frames(self, kinds: list[str]) -> None:
        self.interleave(kinds)

    @rule(refused=st.booleans())
    def link(self, refused: bool) -> None:
        self.toggle_link(refused=refused)

    @rule(event=st.sampled_from(OTHER_EVENTS), times=st.sampled_from([1, 1, 1, 3]))
    def other_event(self, event: e.Event, times: int) -> None:
        if self.state is S.COLD and isinstance(event, e.SubmissionStarted):
            return
        for _ in range(times):
            self.apply(event)

    @rule(warm=st.booleans())
    def operator(self, warm: bool) -> None:
        self.changed += 1
        self.apply(e.WarmRequested() if warm else e.CheckRequested())

    @rule()
    def reload(self) -> None:
        """Reload the settings: the connection is new, so its first values are not compared."""
        self.changed += 1
        self.queue, self.linked_before, self.known = None, False, None
        self.apply(e.SettingsChanged())

    @invariant()
    def no_attempt_starts_outside_cold(self) -> None:
        attempt = self.driver.server.attempt
        assert attempt is None or attempt.prompt_id != "not cold"


ServerHistory.TestCase.settings = settings(max_examples=400, stateful_step_count=30, deadline=None)
TestServerHistory = pytest.mark.timeout(180)(ServerHistory.TestCase)
