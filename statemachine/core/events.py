"""What can happen to a server. An event is a fact that somebody saw; what follows from it the machine decides.

Events carry no time: whoever applies one says when it was seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from statemachine.core.messages import Message
from statemachine.core.vocabulary import Reason, Source


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """The cache check is about to be asked."""


@dataclass(frozen=True, slots=True)
class NodeCursor:
    """How far the companion node on a server had told of its cache.

    `instance` is another one after each start of the server; `sequence` counts the changes that it has told, None where
    some of them may have gone unheard. `keys` are those that were asked for. `truncated`: its last frame did not tell
    whether all of them are there.
    """

    instance: str
    sequence: int | None
    keys: tuple[str, ...]
    truncated: bool = False

    def lacks(self, present: frozenset[str]) -> tuple[str, ...]:
        """The keys that were asked for and are not among these."""
        return tuple(key for key in self.keys if key not in present)


@dataclass(frozen=True, slots=True)
class CheckAnswered:
    """A check was answered and understood.

    `missing` are keys; `needed` are the names of the workflows that must run to bring them back. `epoch` is the
    server's evidence counter at the moment of asking: an answer from an older epoch proves nothing any more.
    `companion` is who answered, where it was a companion node.
    """

    kind: str
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    auto_executing: bool
    epoch: int
    node_cursor: NodeCursor | None = None


@dataclass(frozen=True, slots=True)
class CheckUnusable:
    """A check was answered, but says nothing about the cache: absent, denied or not understood."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class NotAnswering:
    """An HTTP request ended without any answer of the server's own.

    `held`: most of the fleet is silent, so it is probably us, and the server is not to be declared unreachable.
    """

    message: Message
    held: bool = False


@dataclass(frozen=True, slots=True)
class Answering:
    """An HTTP request was answered, after one that was not or while the server counts as unreachable."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """A /ws connection delivers. `refused_before`: since the last one, connects were refused, as by a dead process."""

    client_id: str
    refused_before: bool


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The /ws connection ended."""

    message: Message


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """The server said how many prompts are running or pending."""

    remaining: int
    witness: Source


@dataclass(frozen=True, slots=True)
class CacheReported:
    """The companion node told a change. `present` are all keys that are cached now; `truncated`: not all of them."""

    instance: str
    sequence: int
    present: frozenset[str]
    truncated: bool


@dataclass(frozen=True, slots=True)
class QueueDrained:
    """A queue that was waited for is empty: a server's that loads by itself, or a cold one's that users kept busy."""


@dataclass(frozen=True, slots=True)
class ForeignLoadDetected:
    """Somebody else's prompt that caches our missing keys already stands in the server's queue."""

    message: Message


@dataclass(frozen=True, slots=True)
class PreflightFailed:
    """The workflow cannot run on this server; nothing was posted."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionStarted:
    """A permit is there and the queue is free: this prompt_id is now to be written down and posted.

    `cache_nodes` maps the ids of the workflow's cache nodes to their keys; `total_nodes` is the size of the graph.
    """

    workflow: str
    prompt_id: str
    client_id: str | None
    varied_tag: bool
    total_nodes: int
    cache_nodes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class SubmissionWithheld:
    """The prompt_id could not be written down, so nothing was posted."""

    message: Message


@dataclass(frozen=True, slots=True)
class SubmissionUnanswered:
    """The POST left and no usable answer came: it may or may not have been accepted. `answered`: something came."""

    message: Message
    answered: bool


@dataclass(frozen=True, slots=True)
class SubmissionUncertain:
    """An attempt is open whose fate is not known; it must be found out before anything else."""


@dataclass(frozen=True, slots=True)
class PromptAccepted:
    """The server has the prompt. `server_prompt_id` is the id that the server gave it (older ones choose their own)."""

    prompt_id: str
    server_prompt_id: str
    witness: Source


@dataclass(frozen=True, slots=True)
class PromptRefused:
    """The server refused the prompt. `still_runs`: it dropped only some branches and runs the rest."""

    reason: Reason
    message: Message
    still_runs: bool = False


@dataclass(frozen=True, slots=True)
class PromptCached:
    """The executor found these nodes in its own cache, and will not run them."""

    prompt_id: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptNodeStarted:
    """A node of the prompt began to run."""

    prompt_id: str
    node: str


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How far the prompt's nodes are: `done` nodes' worth of work (fractions count), cached ones not included."""

    prompt_id: str
    done: float


@dataclass(frozen=True, slots=True)
class PromptSucceeded:
    """The prompt ended well. `cached_nodes` as history tells them; None where a frame said it (they came before)."""

    prompt_id: str
    witness: Source
    cached_nodes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PromptFailed:
    """A node raised. `out_of_memory`: the cause was memory, and the server has unloaded everything."""

    prompt_id: str
    witness: Source
    message: Message
    out_of_memory: bool


@dataclass(frozen=True, slots=True)
class PromptInterrupted:
    """Somebody interrupted the prompt."""

    prompt_id: str
    witness: Source


@dataclass(frozen=True, slots=True)
class PromptAbsent:
    """The prompt is proved to be neither in the queue nor in history."""

    reason: Reason
    message: Message


@dataclass(frozen=True, slots=True)
class PromptStuck:
    """Our prompt, or the server's own loading, is still in the queue and has made no progress for too long."""

    message: Message


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The long backoff of a failure has ended."""


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """The operator wants a check now."""


@dataclass(frozen=True, slots=True)
class WarmRequested:
    """The operator wants a warm-up now, whatever failed before."""


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """The operator takes the server out."""


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    """The operator gives the server back."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """What the settings or a workflow file say about the server has changed while the daemon runs."""


PromptEnd = PromptSucceeded | PromptFailed | PromptInterrupted

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
    | SubmissionWithheld
    | SubmissionUnanswered
    | SubmissionUncertain
    | PromptAccepted
    | PromptRefused
    | PromptCached
    | PromptNodeStarted
    | PromptProgress
    | PromptEnd
    | PromptAbsent
    | PromptStuck
    | RetryDue
    | CheckRequested
    | WarmRequested
    | PauseRequested
    | ResumeRequested
    | SettingsChanged
)
