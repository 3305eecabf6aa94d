"""A source that is being followed, and how it does."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.discovery.source import TargetSource, WatchedSource
from statemachine.discovery.target import Listing, Refusal
from statemachine.settings.discovery import Source


@dataclass(slots=True, eq=False)
class Followed:
    """A source of the settings with its task. `failures` counts those in a row; `answered_at` is epoch seconds.

    `refusals` are those of the last answer, and `unnamed` counts the ones beyond them. `placeless` has the reasons why
    listed targets are not in the fleet.
    """

    source: Source
    target_source: TargetSource
    task: asyncio.Task[None] | None = None
    failures: int = 0
    trouble: Message = NO_MESSAGE
    refusals: Sequence[Refusal] = ()
    unnamed: int = 0
    answered_at: float | None = None
    placeless: Sequence[Message] = ()
    _pause: asyncio.Timeout | None = None

    def succeed(self, listing: Listing, now: float) -> None:
        """Note a usable answer."""
        self.failures, self.trouble, self.answered_at = 0, NO_MESSAGE, now
        self.refusals, self.unnamed = listing.refusals, listing.unnamed

    @property
    def refused_codes(self) -> frozenset[str]:
        """The kinds of the refusals."""
        return frozenset(one.why.code for one in self.refusals)

    def fail(self, why: Message) -> None:
        """Note that there is no usable answer."""
        self.failures += 1
        self.trouble = why

    async def pause(self, pause_s: float) -> None:
        """Wait, but no longer than until `retry`, or until the source knows that another answer is to be had."""
        source = self.target_source
        try:
            async with asyncio.timeout(pause_s) as self._pause:
                await (source.changed() if isinstance(source, WatchedSource) else asyncio.Future())
        except TimeoutError:
            pass
        finally:
            self._pause = None

    def retry(self) -> None:
        """End the pause after a failure."""
        if self._pause is not None and not self._pause.expired():
            self._pause.reschedule(asyncio.get_running_loop().time())

    def stop(self) -> None:
        """Stop following. The source closes its connections soon."""
        if self.task is not None:
            self.task.cancel()
