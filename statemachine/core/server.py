"""What the daemon remembers of one server. `reducers.py` changes it, and the machine moves it."""

from dataclasses import dataclass
from enum import Enum, auto

from statemachine.core.attempt import Attempt
from statemachine.core.events import NodeCursor
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.vocabulary import Reason, Source, State


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


@dataclass(slots=True, eq=False)
class Server:
    """The memory of one server. Two servers are equal only if they are the same object."""

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

    def attempt_about(self, prompt_id: str) -> Attempt | None:
        """Return the open attempt if this prompt is its own."""
        attempt = self.open_attempt
        return attempt if attempt is not None and attempt.is_about(prompt_id) else None

    def was_away_during(self, attempt: Attempt) -> bool:
        """Return whether the server was unreachable or restarted since the attempt began."""
        return self.disconnect_count > attempt.disconnect_count_before
