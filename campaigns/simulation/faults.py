"""The kinds of faults, their rates and their counts in one run."""

from collections import Counter
from collections.abc import Collection, Sequence
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """One kind of fault. The value is its name on the command line and in the report."""

    REQUEST_LOST = "request_lost"
    ANSWER_LOST = "answer_lost"
    ANSWER_SLOW = "answer_slow"
    LATE_POST = "late_post"
    GATEWAY_BEFORE = "gateway_before"
    GATEWAY_AFTER = "gateway_after"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    GARBAGE = "garbage"
    TRUNCATED = "truncated"
    REFUSED = "refused_while_down"
    UNREACHED = "unreached_in_outage"
    FRAME_LATE = "frame_late"
    FRAME_LOST = "frame_lost"
    FRAME_TWICE = "frame_twice"
    FRAME_FOREIGN = "frame_foreign"
    SOCKET_CLOSED = "socket_closed"
    SOCKET_SILENT = "socket_silent"
    SOCKET_MUTE = "socket_mute"
    ACCEPT_AND_CLOSE = "accept_and_close"
    DIAL_LOST = "dial_lost"
    USERS_JOB = "users_job"
    USERS_LOADING = "users_loading"
    RESTART = "restart"
    QUICK_RESTART = "quick_restart"
    OUTAGE = "outage"
    STALL = "stall"
    KEYS_DROPPED = "keys_dropped"
    EVICTED = "evicted"
    PAGED = "paged"
    INTERRUPTED = "interrupted"
    CLOCK_STEP = "clock_step"
    DISK_SLOW = "disk_slow"
    DISK_FULL = "disk_full"
    CRASH = "crash"
    OPERATOR = "operator"


F = Fault

REQUEST_RATES = {
    F.REQUEST_LOST: 0.03, F.ANSWER_LOST: 0.03, F.ANSWER_SLOW: 0.02, F.GATEWAY_BEFORE: 0.03, F.GATEWAY_AFTER: 0.03,
    F.RESET_BEFORE: 0.02, F.RESET_AFTER: 0.02, F.GARBAGE: 0.03, F.TRUNCATED: 0.02,
}  # fmt: skip
POST_RATES = {
    F.REQUEST_LOST: 0.06, F.ANSWER_LOST: 0.12, F.ANSWER_SLOW: 0.06, F.LATE_POST: 0.15, F.GATEWAY_BEFORE: 0.06,
    F.GATEWAY_AFTER: 0.06, F.RESET_BEFORE: 0.06, F.RESET_AFTER: 0.06, F.GARBAGE: 0.08, F.TRUNCATED: 0.04,
}  # fmt: skip
FRAME_RATES = {
    F.FRAME_LATE: 0.03, F.FRAME_LOST: 0.03, F.FRAME_TWICE: 0.02, F.FRAME_FOREIGN: 0.03, F.SOCKET_CLOSED: 0.004,
    F.SOCKET_SILENT: 0.002,
}  # fmt: skip
DIAL_RATES = {F.SOCKET_MUTE: 0.1, F.ACCEPT_AND_CLOSE: 0.2, F.DIAL_LOST: 0.1}
ACTION_WEIGHTS = {
    F.USERS_JOB: 5.0, F.USERS_LOADING: 1.0, F.RESTART: 1.0, F.QUICK_RESTART: 0.7, F.OUTAGE: 0.5, F.STALL: 0.7,
    F.KEYS_DROPPED: 1.5, F.EVICTED: 1.5, F.PAGED: 1.5, F.INTERRUPTED: 1.0, F.CLOCK_STEP: 0.5, F.DISK_SLOW: 0.3,
    F.DISK_FULL: 0.4, F.CRASH: 1.2, F.OPERATOR: 1.0,
}  # fmt: skip


class Dice:
    """Pick at most one of several faults with one random number."""

    def __init__(self, rates: dict[Fault, float], faults: "Faults") -> None:
        self._rates = list(rates.items())
        self._total = sum(rates.values())
        self._faults = faults

    def roll(self) -> Fault | None:
        """Return the fault that happens now and count it; usually None."""
        faults = self._faults
        if not faults.active or (left := faults.random()) >= self._total:
            return None
        for fault, rate in self._rates:
            left -= rate
            if left < 0:
                faults.counts[fault] += 1
                return fault
        return None


class Faults:
    """The faults of one run. Each kind has a random rate, which may be 0."""

    def __init__(self, rng: Random, without: Collection[StrEnum] = ()) -> None:
        self.active = True
        self.counts: Counter[StrEnum] = Counter()
        self.random = rng.random
        drawn = {fault: rng.choice((0.0, 0.0, 0.3, 1.0, 1.0, 2.5)) for fault in Fault}
        self._scale = {fault: 0.0 if fault in without else scale for fault, scale in drawn.items()}

    def dice(self, rates: dict[Fault, float], quality: float) -> Dice:
        """Return the dice of one server. `quality` 0 is a perfect connection, 1 an ordinary one."""
        return Dice({fault: rate * self._scale[fault] * quality for fault, rate in rates.items()}, self)

    def actions(self) -> tuple[Sequence[StrEnum], Sequence[float]]:
        """Return the kinds of random actions and their weights."""
        weights = {fault: weight * self._scale[fault] for fault, weight in ACTION_WEIGHTS.items()}
        kept = {fault: weight for fault, weight in weights.items() if weight}
        return list(kept), list(kept.values())
