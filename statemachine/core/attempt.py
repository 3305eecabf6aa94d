"""One warm-up of one workflow on one server, from before its POST until its end is confirmed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from statemachine.core.events import PromptEnd
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.vocabulary import Source


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


OPEN_OUTCOMES = (Outcome.RECORDED, Outcome.ACCEPTED)


@dataclass(slots=True, eq=False)
class Attempt:
    """Times are epoch seconds. `prompt_id` is ours; `server_prompt_id` is the one in the server's frames.

    `instance` is the server's process in which the attempt began, if a companion node reports it.
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
    nodes_started: int = 0
    progress: float = 0.0
    last_progress_at: float = 0.0
    early_end: PromptEnd | None = None
    posted: bool = False
    answered: bool = False
    fall_expected: bool = False
    judged: bool = False
    disconnect_count_before: int = 0

    @property
    def is_open(self) -> bool:
        """Whether the server may have the prompt. Nothing else is sent to it until then."""
        return self.outcome in OPEN_OUTCOMES

    def is_about(self, prompt_id: str) -> bool:
        """Return whether a frame or record with this id is about this attempt."""
        return prompt_id in (self.prompt_id, self.server_prompt_id)

    @property
    def unrun_keys(self) -> frozenset[str]:
        """Keys whose cache node the executor took from its own cache, so that it did not set them again."""
        return frozenset(self.cache_nodes[node] for node in self.cached_nodes if node in self.cache_nodes)

    def advance(self, done_nodes: float, at: float) -> None:
        """Raise the progress to `done_nodes` of the graph, cached ones added; it never falls."""
        self.last_progress_at = at
        if self.total_nodes:
            share = (done_nodes + len(self.cached_nodes)) / self.total_nodes
            if share > self.progress:
                self.progress = min(1.0, share)
