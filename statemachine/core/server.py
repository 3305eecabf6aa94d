"""What the daemon remembers of one server and its warm-up, and the view that outsiders see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import NamedTuple

from statemachine.core.duties import WAITS, Waiting
from statemachine.core.events import EarlyEvent, NodeCursor
from statemachine.core.levels import Level, Places, lowest
from statemachine.core.messages import NO_MESSAGE, Message, joined
from statemachine.core.pause import NO_PAUSE, Pause
from statemachine.core.repetition import NO_CONTENTION, NO_STREAK, Contention, Streak
from statemachine.core.restart import Restart
from statemachine.core.vocabulary import Reason, Source, State


class Outcome(StrEnum):
    """The progress or the result of an attempt. In the first two, which are open, the server may have the prompt."""

    RECORDED = "recorded"
    ACCEPTED = "accepted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    LOST = "lost"
    WITHHELD = "withheld"


MOST_BLOCKED = 5
"""Texts of blocked nodes that are kept of one prompt."""

MOST_STARTED = 5_000
LONGEST_NODE_ID = 200
"""Nodes of a prompt that are remembered, and characters of an id: more than graphs and their expansions have."""

OPEN_OUTCOMES = (Outcome.RECORDED, Outcome.ACCEPTED)


@dataclass(slots=True, eq=False)
class Attempt:
    """Times are epoch seconds. `prompt_id` is ours; `server_prompt_id` is the one in the server's frames.

    `instance` is the server's process in which the attempt began, if a companion node reports it. `early` are events
    that arrived before the answer to the POST and wait for it; `early_queue` was the queue's length at the last one.
    `unsent`: the POST's connection was refused. `cut_off`: a connection to the server ended or was refused since.
    `last_progress_at` is the time of the last event that shows work, or that another process has begun, which may have
    the prompt from a restored queue: repeated and falling figures do not count.
    `partly_refused`: the server has dropped a part of the workflow and runs the rest.
    `stuck`: its time limit has passed, so that it holds no permit. `ended_by_hook`: a restart hook of ours ends the
    process under it. `blocked`: what an ExecutionBlocker said of skipped
    nodes.
    """

    server: str
    workflow: str
    prompt_id: str
    created_at: float
    client_id: str | None = None
    server_prompt_id: str = ""
    outcome: Outcome = Outcome.RECORDED
    accepted_at: float | None = None
    ended_at: float | None = None
    confirmed_by: Source | None = None
    varied_tag: bool = False
    message: Message = NO_MESSAGE
    instance: str | None = None
    total_nodes: int = 0
    cache_nodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cached_nodes: tuple[str, ...] = ()
    started_nodes: set[str] = field(default_factory=set)
    done_nodes: float = 0.0
    progress: float = 0.0
    last_progress_at: float = 0.0
    early: tuple[EarlyEvent, ...] = ()
    early_queue: int | None = None
    posted: bool = False
    unsent: bool = False
    cut_off: bool = False
    answered: bool = False
    partly_refused: bool = False
    rate_limited: bool = False
    fall_expected: bool = False
    judged: bool = False
    stuck: bool = False
    ended_by_hook: bool = False
    blocked: tuple[Message, ...] = ()
    disconnect_count_before: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the server may have the prompt. Nothing else is sent to it until then."""
        return self.outcome in OPEN_OUTCOMES

    def is_about(self, prompt_id: str) -> bool:
        """Return whether a frame or record with this id is about this attempt."""
        return prompt_id in (self.prompt_id, self.server_prompt_id)

    @property
    def may_have_started(self) -> bool:
        """Whether the server's process has received the prompt, or may have before it ended."""
        return self.accepted_at is not None or (self.posted and self.cut_off and not self.unsent)

    @property
    def unrun_keys(self) -> frozenset[str]:
        """Keys whose cache node the executor took from its own cache, so that it did not set them again."""
        return frozenset(self.cache_nodes[node] for node in self.cached_nodes if node in self.cache_nodes)

    @property
    def blocked_message(self) -> Message:
        """What an ExecutionBlocker said of nodes that were skipped, if any."""
        return joined(self.blocked) if self.blocked else NO_MESSAGE

    def block(self, what: Message) -> None:
        """Keep what a blocker said, each text once and a few of them."""
        if what not in self.blocked and len(self.blocked) < MOST_BLOCKED:
            self.blocked = (*self.blocked, what)

    def start_node(self, node: str, at: float) -> None:
        """Count a node that started; one that starts again is not progress."""
        is_known = node in self.started_nodes
        if is_known or len(node) > LONGEST_NODE_ID or len(self.started_nodes) >= MOST_STARTED:
            return
        self.advance(len(self.started_nodes), at)
        self.started_nodes.add(node)
        self.last_progress_at = at

    def advance(self, done_nodes: float, at: float) -> None:
        """Raise the progress to `done_nodes` of the graph, cached ones added; it never falls."""
        done = done_nodes + len(self.cached_nodes)
        if done <= self.done_nodes:
            return
        self.done_nodes, self.last_progress_at = done, at
        if self.total_nodes:
            self.progress = min(1.0, done / self.total_nodes)


@dataclass(frozen=True, slots=True)
class Reachability:
    """The failures in a row that make a server unreachable, and the answers in a row that bring it back."""

    fall: int = 3
    rise: int = 2


class CacheChange(Enum):
    """What the companion node's last frame means for our keys."""

    NOTHING = auto()
    RESTARTED = auto()
    MAYBE_LOST = auto()
    COMPLETE = auto()


NOT_WARMED: Mapping[str, float] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Server:
    """The memory of one server. Two servers are equal only if they are the same object.

    `loaded_at` is the time since which everything is cached, `warmed_at` the time of each workflow's last success,
    both until models are lost that had been loaded. `gone_at` is the first sign since the last check that its process
    may have ended, and `process_ended` whether it has. `foreign_work_ended`: the queue has become shorter since our
    last success, and not by ours. `loading_in_doubt`: the connection was lost while it loaded by itself, or while the
    check was asked that reported the loading, and its queue was not seen since. `limited_posts` is the number of
    POSTs in a row that a rate limit answered. `places`: where the models of the keys are, None where nothing observes
    it; `below` lists the keys whose models are below the wanted level. `restart` is the latest restart, open or ended,
    and `process_went` whether its process seems to have ended since its hook began, and was not seen after that.
    `away_since_request`: it did not answer when its restart was requested, nor since.
    """

    name: str
    reachability: Reachability = Reachability()
    state: State = State.UNKNOWN
    since: float = 0.0
    reason: Reason = Reason.DAEMON_STARTED
    proved_by: Source = Source.DAEMON
    message: Message = NO_MESSAGE
    missing: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    places: Places | None = None
    below: tuple[str, ...] = ()
    check_kind: str | None = None
    node_cursor: NodeCursor | None = None
    cache_change: CacheChange = CacheChange.NOTHING
    auto_executing: bool = False
    last_check: float | None = None
    epoch: int = 0
    client_id: str | None = None
    links: int = 0
    queue_remaining: int | None = None
    queue_fell: bool = False
    consecutive_failures: int = 0
    answers: int = 0
    disconnect_count: int = 0
    recheck_failures: int = 0
    auto_rounds: int = 0
    own_loading_lost: bool = False
    loading_in_doubt: bool = False
    attempt: Attempt | None = None
    succeeded: Attempt | None = None
    failures: int = 0
    ineffective_warmups: int = 0
    limited_posts: int = 0
    streak: Streak = NO_STREAK
    contention: Contention = NO_CONTENTION
    loaded_at: float | None = None
    warmed_at: Mapping[str, float] = field(default_factory=lambda: NOT_WARMED)
    gone_at: float | None = None
    process_ended: bool = False
    foreign_work_ended: bool = False
    verdict_fresh: bool = False
    waiting: Waiting = WAITS[State.UNKNOWN]
    pause: Pause = NO_PAUSE
    restart: Restart | None = None
    process_went: bool = False
    away_since_request: bool = False

    @property
    def open_restart(self) -> Restart | None:
        """The restart that has not ended."""
        return self.restart if self.restart is not None and self.restart.is_open else None

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt whose prompt the server may have."""
        return self.attempt if self.attempt is not None and self.attempt.is_open else None

    @property
    def cached_by_executor(self) -> bool:
        """Whether our prompt succeeded without running nodes whose keys are missing, so that the tag must vary."""
        return self.succeeded is not None and not self.succeeded.unrun_keys.isdisjoint(self.missing)

    @property
    def still_cold(self) -> bool:
        """Whether our prompt succeeded and the check still needs the same workflow."""
        return self.succeeded is not None and self.succeeded.workflow in self.needed

    @property
    def receives_changes(self) -> bool:
        """Whether the companion node reports every change of our keys, so that periodic checks can be rare."""
        complete = self.node_cursor is not None and not self.node_cursor.truncated
        return complete and self.client_id is not None

    @property
    def check_ends_it(self) -> bool:
        """Whether the loading that a check starts has ended the process several times, so that none may be asked."""
        return self.streak.gave_up and self.auto_rounds > 0

    @property
    def foreign_work_seen(self) -> bool:
        """Whether foreign work has ended since our last success, or is queued or running now."""
        return self.foreign_work_ended or bool(self.queue_remaining)

    def attempt_about(self, prompt_id: str) -> Attempt | None:
        """Return the open attempt if this prompt is its own."""
        attempt = self.open_attempt
        return attempt if attempt is not None and attempt.is_about(prompt_id) else None

    def was_away_during(self, attempt: Attempt) -> bool:
        """Return whether the server was unreachable or restarted since the attempt began."""
        return self.disconnect_count > attempt.disconnect_count_before


class LiveFigures(NamedTuple):
    """The fields of a ServerView that change without a transition, with most frames."""

    progress: float | None
    queue_remaining: int | None
    last_check: float | None
    levels: Mapping[str, Level] | None = None
    waiting_for: Message = NO_MESSAGE
    next_action_at: float | None = None
    next_action_at_most: bool = False


class ServerView(NamedTuple):
    """The line of /api/status. Times are epoch seconds; `progress` is 0 to 1 while warming, else None.

    `workflows` names the workflows that warm it. They are not part of the line; the router uses them. `levels`: where
    the models of its keys are, by key, as far as the server reports them; None if nothing observes it. The daemon next
    acts on the server at `next_action_at`, or, if `next_action_at_most`, at that time at the latest. `restart` is its
    latest restart, open or ended.
    """

    name: str
    url: str
    group: str
    state: State
    since: float
    reason: Reason
    message: Message
    auto_executing: bool = False
    missing: tuple[str, ...] = ()
    prompt_id: str | None = None
    progress: float | None = None
    queue_remaining: int | None = None
    last_check: float | None = None
    next_action_at: float | None = None
    workflows: tuple[str, ...] = ()
    levels: Mapping[str, Level] | None = None
    waiting_for: Message = NO_MESSAGE
    next_action_at_most: bool = False
    pause: Pause | None = None
    restart: Restart | None = None

    @property
    def live(self) -> LiveFigures:
        """The figures that change without a transition."""
        return LiveFigures(
            self.progress,
            self.queue_remaining,
            self.last_check,
            self.levels,
            self.waiting_for,
            self.next_action_at,
            self.next_action_at_most,
        )

    @property
    def level(self) -> Level | None:
        """The lowest level of its keys, None if it is not observed."""
        return lowest((self.levels or {}).values())

    @property
    def cache_loaded(self) -> bool:
        """Whether traffic may be sent to the server."""
        return self.state is State.LOADED
