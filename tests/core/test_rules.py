"""The rules that are never broken, against random histories of a server."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.bench import MACHINE, Bench, accepted

S, R = State, Reason
BEGINNINGS_OF_A_SUBMISSION = {(S.COLD, R.PERMIT_GRANTED), (S.UNKNOWN, R.PROMPT_IN_DOUBT)}
ASKED_IN = (S.CHECKING, S.LOADED, S.COLD)
NODES = st.lists(st.sampled_from(["10", "20", "21"]), unique=True).map(tuple)
MEANWHILE = st.lists(
    st.sampled_from([
        "queue 0", "queue 1", "queue 2", "link", "success", "failure", "cached", "progress", "keys gone", "keys there",
        "frame lost", "cut short", "old frame", "new life",
    ]),
    max_size=4,
)  # fmt: skip
"""What may come between two things that the daemon does."""

CACHE_FRAMES: dict[str, tuple[int, frozenset[str], bool]] = {
    "keys gone": (1, frozenset(), False),
    "keys there": (1, frozenset({"k1", "k2"}), False),
    "frame lost": (2, frozenset({"k1", "k2"}), False),
    "cut short": (1, frozenset(), True),
    "old frame": (0, frozenset(), False),
    "new life": (1, frozenset({"k1", "k2"}), False),
}
"""How many changes on from the last one, the keys that are there, and whether the frame is cut short."""

DISTURBANCES: list[e.Event] = [
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
    e.NotAnswering(verbatim("timed out")),
    e.NotAnswering(verbatim("timed out"), held=True),
    e.Answering(),
    e.SubmissionUnanswered(verbatim("timed out"), answered=False),
    e.SubmissionUncertain(),
    e.SubmissionStarted("cache_models", "out of turn", "c", varied_tag=False, total_nodes=4),
]


class History(RuleBasedStateMachine):
    """The fleet's duties in any order, evidence of change between any two steps.

    `changed` counts the pieces of evidence by this page's own rules; a check proves something only about the count at
    which it was asked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.prompts = 0
        self.changed = 0
        self.unmeasured = 0
        """Frames of a companion node that no answer was known for: they only spoil the answer under way."""
        self.proved_at: int | None = None
        self.queue: int | None = None
        self.told_end = False
        self.was_linked = False
        self.life, self.told = 0, 0
        self.known: tuple[int, int | None] | None = None
        """Which life of the server the daemon knows from its companion node, and how far it was told; None: none."""

    @property
    def state(self) -> State:
        return self.bench.state

    @property
    def open(self) -> Attempt | None:
        return self.bench.server.open_attempt

    def happens(self, event: e.Event) -> None:
        """Apply an event, and hold the rules of transitions against what it made."""
        before, source = self.open, self.state
        self.bench.now += 1
        for one in MACHINE.apply(self.bench.server, event, self.bench.now):
            assert one.source is source
            source = one.dest
            if one.dest is S.SUBMITTING:
                assert (one.source, one.reason) in BEGINNINGS_OF_A_SUBMISSION
            if one.dest is S.LOADED:
                assert isinstance(event, e.CheckAnswered)
                assert not event.needed
            if one.source is S.PAUSED:
                assert isinstance(event, e.ResumeRequested)
        assert source is self.state
        if before is not None and before.is_open:
            assert self.open is before
        self.hold_invariants()

    def hold_invariants(self) -> None:
        """Also between the steps of one rule."""
        if self.state is S.LOADED:
            assert self.proved_at == self.changed
        if self.state in (S.SUBMITTING, S.WARMING):
            assert self.open is not None
        if self.state in (S.CHECKING, S.LOADED, S.COLD, S.AUTO_EXECUTING):
            assert self.open is None
        attempt = self.bench.server.attempt
        assert attempt is None or 0.0 <= attempt.progress <= 1.0

    def meanwhile(self, kinds: list[str]) -> None:
        for kind in kinds:
            if kind.startswith("queue"):
                self.queue_is(int(kind[-1]))
            elif kind == "link":
                self.link_changes(refused=False)
            elif kind in ("success", "failure"):
                self.end_by_frame(success=kind == "success")
            elif kind in CACHE_FRAMES:
                self.cache_frame(kind)
            elif self.bench.server.attempt is not None:
                prompt_id = self.bench.attempt.prompt_id
                cached = e.PromptCached(prompt_id, ("10", "20"))
                self.happens(cached if kind == "cached" else e.PromptProgress(prompt_id, 1.5))

    def cache_frame(self, kind: str) -> None:
        """The companion node tells a change."""
        if kind == "new life":
            self.life, self.told = self.life + 1, 0
        steps, present, truncated = CACHE_FRAMES[kind]
        self.told = max(0, self.told + steps)
        self.unmeasured += self.known is None
        if self.known is not None:
            life, told = self.known
            gap = told is not None and self.told > told + 1
            if life != self.life or gap or ((told is None or self.told > told) and not (present or truncated)):
                self.changed += 1
            if life != self.life or told is None or self.told > told:
                self.known = (self.life, self.told)
        self.happens(e.CacheReported(f"life {self.life}", self.told, present, truncated))

    def queue_is(self, remaining: int) -> None:
        self.changed += self.queue is not None and remaining < self.queue
        self.queue = remaining
        self.happens(e.QueueSeen(remaining, Source.WS))

    def link_changes(self, *, refused: bool) -> None:
        self.queue = None
        if self.bench.server.client_id:
            self.changed += 1
            self.known = self.known and (self.known[0], None)
            self.happens(e.LinkLost(verbatim("closed")))
        else:
            self.changed += self.was_linked
            self.was_linked = True
            self.happens(e.LinkOpened("c", refused_before=refused))

    def end_by_frame(self, *, success: bool) -> None:
        """The first frame that tells the end of an open prompt lets one fall of the queue be expected."""
        if self.bench.server.attempt is None:
            return
        prompt_id = self.bench.attempt.prompt_id
        if self.open is not None and not self.told_end:
            self.told_end = True
            self.changed += 1
            self.queue = self.queue - 1 if self.queue else self.queue
        failure = e.PromptFailed(prompt_id, Source.WS, verbatim("raised"), out_of_memory=False)
        self.happens(e.PromptSucceeded(prompt_id, Source.WS) if success else failure)

    # What the daemon does.

    @initialize(linked=st.booleans())
    def begin(self, linked: bool) -> None:
        if linked:
            self.link_changes(refused=False)

    @precondition(lambda self: self.state in (S.UNKNOWN, *ASKED_IN))
    @rule(meanwhile=MEANWHILE, missing=st.sampled_from([(), (), ("k1",), ("k1", "k2")]), auto=st.booleans(),
          by_node=st.booleans())  # fmt: skip
    def check(self, meanwhile: list[str], missing: tuple[str, ...], auto: bool, by_node: bool) -> None:
        """A doubtful prompt first; else ask, and have the answer after whatever happens meanwhile."""
        if self.state is S.UNKNOWN:
            self.happens(e.SubmissionUncertain() if self.open else e.CheckStarted())
        if self.state not in ASKED_IN:
            return
        epoch, at_asking = self.bench.server.epoch, (self.changed, self.unmeasured)
        life, told = self.life, self.told
        self.meanwhile(meanwhile)
        fresh, before = (self.changed, self.unmeasured) == at_asking, self.state
        if before not in ASKED_IN:
            return
        if fresh and not missing:
            self.proved_at = self.changed
        needed = ("cache_models",) if missing else ()
        node_cursor = e.NodeCursor(f"life {life}", told, ("k1", "k2")) if by_node else None
        if fresh or missing:
            later = self.known[1] or 0 if self.known is not None and self.known[0] == life else 0
            self.known = (life, max(told, later)) if by_node else None
        kind = "node" if by_node else "text"
        self.happens(e.CheckAnswered(kind, missing, needed, bool(missing) and auto, epoch, node_cursor))
        assert fresh or self.state is not S.LOADED or before is S.LOADED

    @precondition(lambda self: self.state is S.COLD)
    @rule(meanwhile=MEANWHILE, varied=st.booleans())
    def submit(self, meanwhile: list[str], varied: bool) -> None:
        self.prompts += 1
        self.told_end = False
        nodes = {"20": "k1", "21": "k2"}
        self.happens(e.SubmissionStarted("cache_models", f"p{self.prompts}", "c", varied, 4, nodes))
        assert self.state is S.SUBMITTING
        self.meanwhile(meanwhile)

    @precondition(lambda self: self.state is S.SUBMITTING)
    @rule(kind=st.sampled_from(["accepted"] * 4 + ["refused", "partly", "withheld"]), meanwhile=MEANWHILE)
    def reply(self, kind: str, meanwhile: list[str]) -> None:
        prompt_id = self.bench.attempt.prompt_id
        replies: dict[str, e.Event] = {
            "accepted": accepted(prompt_id, "theirs"),
            "refused": e.PromptRefused(R.PROMPT_REFUSED, verbatim("no")),
            "partly": e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True),
            "withheld": e.SubmissionWithheld(verbatim("disk full")),
        }
        self.happens(replies[kind])
        self.meanwhile(meanwhile)

    @precondition(lambda self: self.state in (S.SUBMITTING, S.WARMING))
    @rule(kind=st.integers(0, 4), cached=NODES)
    def look_up(self, kind: int, cached: tuple[str, ...]) -> None:
        prompt_id = self.bench.attempt.prompt_id
        found: list[e.Event] = [
            e.PromptSucceeded(prompt_id, Source.HISTORY, cached),
            e.PromptFailed(prompt_id, Source.HISTORY, verbatim("raised"), out_of_memory=True),
            e.PromptInterrupted(prompt_id, Source.HISTORY),
            e.PromptAbsent(R.PROMPT_LOST, verbatim("gone")),
            e.PromptStuck(verbatim("no progress")),
        ]
        self.changed += kind < 4
        self.happens(found[kind])

    # What happens by itself.

    @rule(kinds=MEANWHILE)
    def frames(self, kinds: list[str]) -> None:
        self.meanwhile(kinds)

    @rule(refused=st.booleans())
    def link(self, refused: bool) -> None:
        self.link_changes(refused=refused)

    @rule(event=st.sampled_from(DISTURBANCES), times=st.sampled_from([1, 1, 1, 3]))
    def disturbance(self, event: e.Event, times: int) -> None:
        if self.state is S.COLD and isinstance(event, e.SubmissionStarted):
            return
        for _ in range(times):
            self.happens(event)

    @rule(warm=st.booleans())
    def operator(self, warm: bool) -> None:
        self.changed += 1
        self.happens(e.WarmRequested() if warm else e.CheckRequested())

    @rule()
    def reload(self) -> None:
        """Another runner, another link: its first figures have nothing to be compared with."""
        self.changed += 1
        self.queue, self.was_linked, self.known = None, False, None
        self.happens(e.SettingsChanged())

    @invariant()
    def nothing_out_of_turn_was_ever_begun(self) -> None:
        attempt = self.bench.server.attempt
        assert attempt is None or attempt.prompt_id != "out of turn"


History.TestCase.settings = settings(max_examples=1000, stateful_step_count=30, deadline=None)
TestHistory = History.TestCase
