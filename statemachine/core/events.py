"""What can happen to a server. An event is an observation; the machine decides what follows.

Events carry no time; the caller that applies one passes the time of the observation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from statemachine.core.levels import NO_LEVELS, Level, Places
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.pause import NO_TERMS, Pause, PauseTerms
from statemachine.core.restart import ASKED_BY_PERSONS, Restart, RestartCause
from statemachine.core.vocabulary import Reason, Source


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """The cache check is about to be asked."""


@dataclass(frozen=True, slots=True)
class NodeCursor:
    """The last change of the cache that a companion node reported.

    `instance` is a new one after each start of the server. `sequence` numbers the changes; None if some may have been
    missed. `keys` are the keys that were asked for. `truncated`: its last frame did not list all of them. `wanted` has
    the keys whose models are wanted in memory.
    """

    instance: str
    sequence: int | None
    keys: tuple[str, ...]
    truncated: bool = False
    wanted: Mapping[str, Level] = field(default_factory=lambda: NO_LEVELS)

    def lacks(self, present: frozenset[str]) -> tuple[str, ...]:
        """Return the keys that were asked for and are not among `present`."""
        return tuple(key for key in self.keys if key not in present)


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """A check was answered and understood.

    `missing` lists keys, `needed` the workflows that must run to bring them back. `epoch` is the server's epoch when
    the check was asked; an answer from an older epoch is stale. `node_cursor` is set if a companion node answered.
    `evicted`: foreign work has run since our last success, so it may have evicted the keys. `caveat`: what the server's
    cache has dropped, or may have unseen. `places`: where the models of the keys are, None if the source reports no
    levels; `below` lists the keys whose models are below the level that is wanted.
    """

    kind: str
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    auto_executing: bool
    epoch: int
    node_cursor: NodeCursor | None = None
    evicted: bool = False
    caveat: Message | None = None
    places: Places | None = None
    below: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckUnusable:
    """A check was answered without a statement about the cache: absent, denied, limited or not understood."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class NotAnswering:
    """An HTTP request ended without an answer from the server itself.

    `held`: most of the fleet does not answer, so the server must not be declared unreachable.
    `refused`: nothing listens at its address, so its process has ended.
    """

    message: Message
    held: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Answering:
    """An HTTP request was answered after one that was not, or while the server is unreachable."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A /ws connection delivers frames. `refused_before`: connections were refused since the last one.

    `failed_before`: an earlier dial of the same process failed, so that changes since the first check may be missed.
    """

    client_id: str
    refused_before: bool
    failed_before: bool = False


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The /ws connection ended."""

    message: Message


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """The server reported how many prompts are running or pending."""

    remaining: int
    proved_by: Source


@dataclass(frozen=True, slots=True)
class CacheReported:
    """The companion node reported a change. `present` are the cached keys; `truncated`: not all of them.

    `places`: where their models are, None if the frame has no levels.
    """

    instance: str
    sequence: int
    present: frozenset[str]
    truncated: bool
    places: Places | None = None


@dataclass(frozen=True, slots=True)
class QueueDrained:
    """The queue of a server that loads by itself, or of a cold and busy server, is empty."""


@dataclass(frozen=True, slots=True)
class ForeignLoadDetected:
    """A prompt that is not ours and caches our missing keys is in the server's queue."""

    message: Message


@dataclass(frozen=True, slots=True)
class PreflightFailed:
    """The workflow cannot run on this server; nothing was posted."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionStarted:
    """The server has a permit and an idle queue; this prompt_id is to be recorded and posted.

    `cache_nodes` maps the ids of the workflow's cache nodes to their keys; `total_nodes` is the size of the graph.
    """

    workflow: str
    prompt_id: str
    client_id: str | None
    varied_tag: bool
    total_nodes: int
    cache_nodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class SubmissionDelayed:
    """Something other than users' work delays a cold server. With the server's earlier reason it no longer does."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionWithheld:
    """The prompt_id could not be recorded, so nothing was posted."""

    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionUnanswered:
    """The POST brought no usable answer; it may have been accepted.

    `answered`: there was some answer. `refused`: nothing listened at the server's address, so nothing was sent.
    """

    message: Message
    answered: bool
    refused: bool = False


@dataclass(frozen=True, slots=True)
class SubmissionLimited:
    """A rate limit answered the POST. The prompt is looked up as soon as requests are allowed again."""

    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionUncertain:
    """An open attempt must be looked up before anything else."""


@dataclass(frozen=True, slots=True)
class PromptAccepted:
    """The server has the prompt. `server_prompt_id` is its id there; older servers choose their own."""

    prompt_id: str
    server_prompt_id: str
    proved_by: Source


@dataclass(frozen=True, slots=True)
class PromptRefused:
    """The server refused the prompt. `still_runs`: it refused only some branches and runs the others."""

    reason: Reason
    message: Message
    still_runs: bool = False


@dataclass(frozen=True, slots=True)
class PromptCached:
    """The executor takes these nodes from its own cache and does not run them."""

    prompt_id: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptNodeStarted:
    """A node of the prompt started."""

    prompt_id: str
    node: str


@dataclass(frozen=True, slots=True)
class PromptNodeBlocked:
    """A node of the prompt was skipped, because another one has blocked it. The prompt goes on."""

    prompt_id: str
    blocked: Message


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """`done` nodes of the prompt are finished; fractions count, cached nodes do not."""

    prompt_id: str
    done: float


@dataclass(frozen=True, slots=True)
class PromptSucceeded:
    """The prompt succeeded. `cached_nodes` come from history; None if a frame reported the success."""

    prompt_id: str
    proved_by: Source
    cached_nodes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PromptFailed:
    """A node raised. `out_of_memory`: it ran out of memory, and the server has unloaded every model."""

    prompt_id: str
    proved_by: Source
    message: Message
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class PromptInterrupted:
    """The prompt was interrupted."""

    prompt_id: str
    proved_by: Source


@dataclass(frozen=True, slots=True)
class PromptAbsent:
    """The prompt is confirmed to be neither in the queue nor in history."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class PromptStuck:
    """Our prompt, or the server's own loading, has made no progress for too long."""

    message: Message


@dataclass(frozen=True, slots=True)
class CheckWithheld:
    """The check was not asked, because the loading that it starts has ended the server's process several times."""


@dataclass(frozen=True, slots=True)
class CheckPostponed:
    """The check waits, because it would start the loading of models that do not stay."""


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The long backoff of a failure has ended."""


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """The operator requested a check. `by` is the client's name, if it has one."""

    by: str | None = None


@dataclass(frozen=True, slots=True)
class WarmRequested:
    """The operator requested a warm-up, even after failures. `by` is the client's name, if it has one."""

    by: str | None = None


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """The operator paused the server. `by` is the client's name, if it has one."""

    by: str | None = None
    terms: PauseTerms = NO_TERMS

    @property
    def pause(self) -> Pause:
        """The pause that is requested."""
        return Pause(*self.terms, self.by)


@dataclass(frozen=True, slots=True)
class PauseEnded:
    """The end of the pause has come."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """The operator resumed the server. `by` is the client's name, if it has one."""

    by: str | None = None


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """A restart of the server was requested, by a client (`by` is its name, if it has one) or by a trigger.

    `id` is the restart's; `message` says what the trigger has seen.
    """

    id: str
    cause: RestartCause = RestartCause.OPERATOR
    by: str | None = None
    message: Message = NO_MESSAGE

    @property
    def proved_by(self) -> Source:
        """Whether a person or the daemon asked for it."""
        return Source.OPERATOR if self.cause in ASKED_BY_PERSONS else Source.DAEMON


@dataclass(frozen=True, slots=True)
class HookStarted:
    """The restart's hook is recorded durably and starts now."""

    restart: Restart
    message: Message


@dataclass(frozen=True, slots=True)
class OldProcessSeen:
    """The process from before the hook answers: what seemed to be its end was none."""


@dataclass(frozen=True, slots=True)
class RestartWithheld:
    """The hook has not been run, and will not be. The server goes on as before."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class ServerReturned:
    """After the hook another process of the server answers."""


@dataclass(frozen=True, slots=True)
class RestartFailed:
    """The hook failed, or the server has not restarted or not returned in time, or must not be restarted again."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class PausedHookEnded:
    """The hook has not failed, and its server was paused while it ran: the pause ends the restart."""

    message: Message


@dataclass(frozen=True, slots=True)
class RestartOverdue:
    """The server returned from its restart `seconds` ago, and is not loaded yet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RestartLimitReached:
    """A trigger wants a restart, and the server was restarted as often as the settings allow."""

    message: Message


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The settings or a workflow file of the server changed while the daemon runs."""


PromptEnd = PromptSucceeded | PromptFailed | PromptInterrupted
EarlyEvent = PromptCached | PromptNodeBlocked | PromptEnd
OperatorEvent = CheckRequested | WarmRequested | PauseRequested | ResumeRequested | RestartRequested

Event = (
    CheckStarted
    | CheckAnswered
    | CheckUnusable
    | NotAnswering
    | Answering
    | LinkOpened
    | LinkLost
    | QueueSeen
    | CacheReported
    | QueueDrained
    | ForeignLoadDetected
    | PreflightFailed
    | SubmissionStarted
    | SubmissionDelayed
    | SubmissionWithheld
    | SubmissionUnanswered
    | SubmissionLimited
    | SubmissionUncertain
    | PromptAccepted
    | PromptRefused
    | PromptCached
    | PromptNodeStarted
    | PromptNodeBlocked
    | PromptProgress
    | PromptEnd
    | PromptAbsent
    | PromptStuck
    | CheckWithheld
    | CheckPostponed
    | RetryDue
    | OperatorEvent
    | PauseEnded
    | HookStarted
    | OldProcessSeen
    | RestartWithheld
    | ServerReturned
    | RestartFailed
    | PausedHookEnded
    | RestartOverdue
    | RestartLimitReached
    | SettingsChanged
)
