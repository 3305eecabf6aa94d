"""The highest rate of events that 1,000 readers of the event stream receive without lag."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.clients import EventReader, reading, wait_idle
from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.serialize import progress_message

READERS = 1_000
SERVERS = 100
FIRST_RATE = 32.0
STEP_S = 1.5
HALVINGS = 3
"""Steps of the search between the highest rate that worked and the lowest that did not."""
LAG_S = 0.5
MAX_BEHIND = 500
"""Events. Well below the number that the daemon keeps for a reader before it closes the stream."""
TIMEOUT_S = 60.0
QUIET = {"timing": {"check_interval_s": 3600}}
"""No other events, so that they can be counted."""

EVENTS = Figure(
    "events_to_readers", "Events to each of 1,000 readers, without growing lag or loss", "events/s",
    "aiohttp with one write of the same bytes per event and reader", 1.0, "higher",
)  # fmt: skip


@dataclass
class ReaderGroup:
    """The readers, the number of events sent, and the number delivered to all readers together."""

    fleet: StandIn
    servers: int
    readers: list[EventReader] = field(default_factory=list)
    sent: int = 0
    delivered: int = 0

    def on_events(self, events: int) -> None:
        """Count events delivered to one reader."""
        self.delivered += events

    def send(self) -> None:
        """Cause one event: a server reports a longer queue."""
        self.sent += 1
        self.fleet.sockets[self.sent % self.servers].send(status_frame(self.sent))

    @property
    def behind(self) -> float:
        """Return the events not yet delivered, on average per reader."""
        return self.sent - self.delivered / len(self.readers)

    async def keeps_up(self, rate: float) -> bool:
        """Return whether the readers keep up with `rate` events per second.

        Raises AssertionError if an event is lost.
        """
        loop = asyncio.get_running_loop()
        began, before, late = loop.time(), self.sent, False
        while not late and (elapsed := loop.time() - began) < STEP_S:
            while self.sent - before < elapsed * rate:
                self.send()
            await asyncio.sleep(0.001)
            late = self.behind > min(MAX_BEHIND, max(1.0, rate * LAG_S))
        async with asyncio.timeout(TIMEOUT_S):
            while self.behind > 0:  # noqa: ASYNC110 - bounded by the timeout
                await asyncio.sleep(0.005)
        assert all(reader.events == self.sent and not reader.ended for reader in self.readers), "an event was lost"  # noqa: S101
        return not late and loop.time() - began < STEP_S + LAG_S

    async def highest_rate(self) -> float:
        """Return the highest rate, in events per second, that the readers keep up with."""
        kept = FIRST_RATE
        while await self.keeps_up(2 * kept):
            kept *= 2
        missed = 2 * kept
        for _ in range(HALVINGS):
            middle = (kept * missed) ** 0.5
            kept, missed = (middle, missed) if await self.keeps_up(middle) else (kept, middle)
        return kept


@asynccontextmanager
async def _reader_group(fleet: StandIn, servers: int, port: int) -> AsyncIterator[ReaderGroup]:
    group = ReaderGroup(fleet, servers)
    async with reading(READERS, "127.0.0.1", port, group.on_events) as group.readers:
        yield group


async def _ours(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls, QUIET) as ours:
        await fleet.wait_connected(SERVERS, TIMEOUT_S)
        await fleet.wait_checked(SERVERS, TIMEOUT_S)
        await wait_idle(ours.child)
        async with _reader_group(fleet, SERVERS, ours.port) as group:
            return {EVENTS.id: await group.highest_rate()}


def example_event() -> bytes:
    """Return an event as the daemon sends it in this case."""
    view = ServerView(
        "127.0.1.1:20000", "http://127.0.1.1:20000", "default", State.LOADED, 1_767_225_600.0, Reason.ALL_CACHED,
        verbatim("all keys are cached"), queue_remaining=1_000, last_check=1_767_225_600.0,
    )  # fmt: skip
    return progress_message(view).frame


async def _baseline(_: Options) -> Measured:
    async with (
        StandIn(1).listening() as fleet,
        baseline("readers", {"url": fleet.urls[0], "event": example_event().decode()}) as child,
    ):
        port = (await child.read_line())["port"]
        await fleet.wait_connected(1, TIMEOUT_S)
        async with _reader_group(fleet, 1, port) as group:
            return {EVENTS.id: await group.highest_rate()}


CASE = Case((EVENTS,), _ours, _baseline)
