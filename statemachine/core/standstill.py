"""Whether a server has stopped to run its prompts, although it accepts them and answers.

ComfyUI's worker is one thread. When it dies, HTTP goes on answering: the queue grows, and nothing runs. A paused queue,
a long video and a dead worker look alike for a while, so only what lasts, or what the companion node says, counts.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from statemachine.core.messages import Message, message

LOOKS_OF_DEAD_WORKER = 2
"""Looks in a row at which the companion node must report a dead worker."""

LEAST_SHARE = 0.01
"""A worker that uses less of a processor waits: for a lock, a network, or another program."""

HANG_PER_TIMEOUT = 3.0
"""A running prompt of others, of which no progress is seen, may take this many times `warm_timeout_s`. So may one that
the queue counts and does not list, as long as none is listed as running: perhaps that one runs."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """One look at a server's queue. `at` is in seconds of a steady clock.

    `running` and `pending` are prompt ids in order, `unlisted` is how many more prompts the queue counts.
    `worker_alive` is what the companion node reports of the worker, None without it. `devices` are the devices' memory
    figures, which change while one computes. `ours_moved` is what changes with each progress of our own prompt, if that
    is the one that runs. `step` and `cpu_s` are the step that the worker is at and its processor time, where the
    companion node reports them.
    """

    at: float
    running: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    unlisted: int = 0
    worker_alive: bool | None = None
    devices: Hashable = None
    ours_moved: float | None = None
    step: str = ""
    cpu_s: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no prompt."""
        return not self.running and not self.pending and not self.unlisted

    @property
    def may_run(self) -> bool:
        """Whether a prompt runs, or one that is not listed may run. ComfyUI runs one at a time."""
        return bool(self.running) or self.unlisted > 0

    def shows_same(self, earlier: "QueueLook") -> bool:
        """Return whether nothing has moved since an earlier look.

        No prompt has started or ended, no step was made, and neither a device nor the worker has computed.
        """
        listed = self.running == earlier.running and self.pending[:1] == earlier.pending[:1]
        queue = listed and self.unlisted >= earlier.unlisted and self.ours_moved == earlier.ours_moved
        same = self.devices == earlier.devices and self.step == earlier.step
        return queue and same and not self._has_computed_since(earlier)

    def _has_computed_since(self, earlier: "QueueLook") -> bool:
        if self.cpu_s is None or earlier.cpu_s is None:
            return False
        return self.cpu_s - earlier.cpu_s >= LEAST_SHARE * (self.at - earlier.at) > 0.0


@dataclass(frozen=True, slots=True)
class Standstill:
    """The looks since anything moved: the first and the last of them, and those that showed a dead worker in a row."""

    first: QueueLook | None = None
    last: QueueLook | None = None
    dead_looks: int = 0

    def after(self, look: QueueLook) -> "Standstill":
        """Return the standstill after one more look, a new one if something has moved."""
        dead = self.dead_looks + 1 if look.worker_alive is False and not look.is_empty else 0
        if self.last is None or look.is_empty or not look.shows_same(self.last):
            return Standstill(look, look, dead)
        return replace(self, last=look, dead_looks=dead)

    def diagnosis(self, warm_timeout_s: float) -> Message | None:
        """Return why the server runs nothing any more, None if it may be working."""
        first, last = self.first, self.last
        if first is None or last is None or last.is_empty:
            return None
        if self.dead_looks >= LOOKS_OF_DEAD_WORKER:
            return message("standstill_worker")
        lasted_s = last.at - first.at
        if last.running and last.ours_moved is not None:
            return message("standstill_ours", seconds=round(lasted_s)) if lasted_s >= warm_timeout_s else None
        if not last.may_run and lasted_s >= warm_timeout_s:
            return message("standstill_idle", count=len(last.pending), seconds=round(lasted_s))
        if last.may_run and last.devices is not None and lasted_s >= HANG_PER_TIMEOUT * warm_timeout_s:
            return _hang(last, lasted_s)
        return None


def _hang(last: QueueLook, lasted_s: float) -> Message:
    if last.running:
        return message("standstill_hang", seconds=round(lasted_s))
    return message("standstill_unlisted", count=last.unlisted, seconds=round(lasted_s))


NO_STANDSTILL = Standstill()
