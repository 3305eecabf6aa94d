"""The interface of the sources, their errors, and a source that is being followed."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.discovery.target import Listing, Refusal
from statemachine.i18n.render import MessageError
from statemachine.settings.discovery import Source

Report = Callable[[Listing], None]


class SourceError(MessageError):
    """A source gave no usable answer. What it named before stays."""


class NoRegistrationError(Exception):
    """No source of the settings accepts registrations."""


class NameTakenError(Exception):
    """Another server has the name that a server would have. The text is the name."""


class NoPlaceError(Exception):
    """The fleet has no place for another server of the source."""

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} servers")
        self.most = most


class TargetSource(Protocol):
    """Reports the targets that it knows."""

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled.

        Raises SourceError if there is no usable answer; the caller runs the source again after a pause.
        """
        ...


@runtime_checkable
class WatchedSource(Protocol):
    """A source that knows when another answer is available."""

    async def changed(self) -> None:
        """Return when it is worth running the source again, although it has failed."""
        ...


class PolledSource:
    """Asks in intervals. `ask` returns an answer, and the seconds until the next one is wanted."""

    def __init__(self, ask: Callable[[], Awaitable[tuple[Listing, float]]]) -> None:
        self._ask = ask

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled. Raises SourceError."""
        while True:
            listing, pause_s = await self._ask()
            report(listing)
            await asyncio.sleep(pause_s)


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
        """Wait, but no longer than until `retry`, or until the source knows that another answer is available."""
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
