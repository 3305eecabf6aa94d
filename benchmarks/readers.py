"""How many events a second reach each of a thousand readers of the event stream before they begin to lag."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.outsiders import EventReader, at_rest, reading
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.serialize import progress_message

READERS = 1_000
SERVERS = 100
FIRST_RATE = 32.0
STEP_S = 1.5
HALVINGS = 3
"""How often the gap between the last rate that was kept up with and the first that was not is halved."""
LAG_S = 0.5
MOST_BEHIND = 500
"""Events. Well below what the daemon keeps for a reader before it cuts him off."""
WITHIN_S = 60.0
QUIET = {"timing": {"check_interval_s": 3600}}
"""Nothing is told but what the case itself causes, so that events can be counted."""

EVENTS = Figure(
    "events_to_readers", "Events that reach each of 1,000 readers before lag grows, none lost", "events/s",
    "fan-out of the same bytes with aiohttp, a write for each event", 1.0, "higher",
)  # fmt: skip


@dataclass
class Crowd:
    """The readers, and what was sent to them: `sent` events, of which `delivered` have come, all readers together."""

    fleet: StandIn
    servers: int
    readers: list[EventReader] = field(default_factory=list)
    sent: int = 0
    delivered: int = 0

    def heard(self, events: int) -> None:
        """So many have come to one of the readers."""
        self.delivered += events

    def send(self) -> None:
        """One event: a server's queue has become longer by one."""
        self.sent += 1
        self.fleet.sockets[self.sent % self.servers].send(status_frame(self.sent))

    @property
    def behind(self) -> float:
        """How many events are on their way, on average of all readers."""
        return self.sent - self.delivered / len(self.readers)

    async def keeps_up(self, rate: float) -> bool:
        """Whether they do, at so many a second. Every event must have come to every reader in the end."""
        loop = asyncio.get_running_loop()
        began, before, late = loop.time(), self.sent, False
        while not late and (elapsed := loop.time() - began) < STEP_S:
            while self.sent - before < elapsed * rate:
                self.send()
            await asyncio.sleep(0.001)
            late = self.behind > min(MOST_BEHIND, max(1.0, rate * LAG_S))
        async with asyncio.timeout(WITHIN_S):
            while self.behind > 0:  # noqa: ASYNC110 - a bounded poll
                await asyncio.sleep(0.005)
        assert all(reader.events == self.sent and not reader.ended for reader in self.readers), "an event was lost"  # noqa: S101
        return not late and loop.time() - began < STEP_S + LAG_S

    async def most(self) -> float:
        """The highest rate that they keep up with."""
        kept = FIRST_RATE
        while await self.keeps_up(2 * kept):
            kept *= 2
        missed = 2 * kept
        for _ in range(HALVINGS):
            middle = (kept * missed) ** 0.5
            kept, missed = (middle, missed) if await self.keeps_up(middle) else (kept, middle)
        return kept


@asynccontextmanager
async def _crowd(fleet: StandIn, servers: int, port: int) -> AsyncIterator[Crowd]:
    crowd = Crowd(fleet, servers)
    async with reading(READERS, "127.0.0.1", port, crowd.heard) as crowd.readers:
        yield crowd


async def _ours(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls, QUIET) as ours:
        await fleet.connected(SERVERS, WITHIN_S)
        await fleet.all_asked(SERVERS, WITHIN_S)
        await at_rest(ours.child)
        async with _crowd(fleet, SERVERS, ours.port) as crowd:
            return {EVENTS.id: await crowd.most()}


def an_event() -> bytes:
    """One as the daemon sends them in this case."""
    view = ServerView(
        "127.0.1.1:20000", "http://127.0.1.1:20000", "default", State.LOADED, 1_767_225_600.0, Reason.ALL_CACHED,
        "everything that was asked for is cached", queue_remaining=1_000, last_check=1_767_225_600.0,
    )  # fmt: skip
    return progress_message(view).frame


async def _fan_out(_: Options) -> Measured:
    async with (
        StandIn(1).listening() as fleet,
        baseline("readers", {"url": fleet.urls[0], "event": an_event().decode()}) as child,
    ):
        port = (await child.said())["port"]
        await fleet.connected(1, WITHIN_S)
        async with _crowd(fleet, 1, port) as crowd:
            return {EVENTS.id: await crowd.most()}


CASE = Case((EVENTS,), _ours, _fan_out)
