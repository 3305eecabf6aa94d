"""What is known of one server: the model that the machine moves. How it learns from events is in `learning.py`."""

from dataclasses import dataclass
from enum import Enum, auto

from statemachine.core.attempt import Attempt
from statemachine.core.events import NodeCursor
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.vocabulary import Reason, Source, State


@dataclass(frozen=True, slots=True)
class Reachability:
    """How many failures in a row make a server unreachable, and how many answers bring it back."""

    fall: int = 3
    rise: int = 2


class CacheChange(Enum):
    """What the companion node's last frame means for the keys that were asked for."""

    NOTHING = auto()
    RESTARTED = auto()
    MAYBE_LOST = auto()
    COMPLETE = auto()


@dataclass(slots=True, eq=False)
class Server:
    """The memory of one server. Identity, not value, makes it equal to another."""

    name: str
    reachability: Reachability = Reachability()
    state: State = State.UNKNOWN
    since: float = 0.0
    reason: Reason = Reason.DAEMON_STARTED
    witness: Source = Source.DAEMON
    message: Message = NO_MESSAGE
    missing: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
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
    attempt: Attempt | None = None
    succeeded: Attempt | None = None
    failures: int = 0
    ineffective_warmups: int = 0
    verdict_fresh: bool = False

    @property
    def open_attempt(self) -> Attempt | None:
        """The attempt that may be with the server, if there is one."""
        return self.attempt if self.attempt is not None and self.attempt.is_open else None

    @property
    def cached_by_executor(self) -> bool:
        """Our prompt succeeded, and keys that its executor-cached nodes hold are still missing: the tag must vary."""
        return self.succeeded is not None and not self.succeeded.unrun_keys.isdisjoint(self.missing)

    @property
    def still_cold(self) -> bool:
        """Our prompt succeeded, and the check says that the very same workflow is still needed."""
        return self.succeeded is not None and self.succeeded.workflow in self.needed

    @property
    def hears_of_changes(self) -> bool:
        """Whether a change of what was asked for would be told: then asking at an interval is only a safety net."""
        told = self.node_cursor is not None and not self.node_cursor.truncated
        return told and self.client_id is not None

    def attempt_about(self, prompt_id: str) -> Attempt | None:
        """The open attempt, if the prompt of this id is its own."""
        attempt = self.open_attempt
        return attempt if attempt is not None and attempt.is_about(prompt_id) else None

    def was_away_during(self, attempt: Attempt) -> bool:
        """Whether the process seemed dead at some time after the attempt began."""
        return self.disconnect_count > attempt.disconnect_count_before
