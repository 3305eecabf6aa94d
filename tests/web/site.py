"""The web side over a real journal and a fleet that the test controls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from pydantic import SecretStr

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import message, verbatim
from statemachine.core.pause import NO_TERMS
from statemachine.core.ports import Action, Clock, Operator, Terms
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.journal import Journal, WriterThread
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.serialize import entry_message
from statemachine.publish.snapshot import Snapshot
from statemachine.rollouts.service import RolloutPorts, Rollouts
from statemachine.rollouts.store import JournalRollouts
from statemachine.settings.listen import ListenToken
from statemachine.warmth import Warmth
from statemachine.web import WebPorts, build_app
from tests.journal.samples import quiet_journal

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z
LOADED = "192.0.2.1:8188"
COLD = "192.0.2.2:8188"

Client = TestClient[Request, Application]


@dataclass
class RecordingOperator:
    """Records actions and their clients. `missing` are servers that it does not know; `refusal` is raised by each."""

    actions: list[tuple[str, Action]] = field(default_factory=list)
    callers: list[str | None] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    terms: list[Terms] = field(default_factory=list)
    refusal: Exception | None = None

    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_TERMS) -> bool:
        """Record the action; return False if the server is missing."""
        self.terms.append(terms)
        self.actions.append((server, action))
        self.callers.append(by)
        if self.refusal is not None:
            raise self.refusal
        return server not in self.missing


@dataclass
class Site:
    """A running web side and its parts."""

    client: Client
    snapshot: Snapshot
    bus: Bus
    journal: Journal[ServerView]
    operator: RecordingOperator
    warmth: Warmth
    counters: Counters
    waiting: list[tuple[LogEntry, asyncio.Future[int]]]
    rollouts: Rollouts

    @property
    def ports(self) -> WebPorts:
        """The ports, for a handler that is tested alone."""
        return WebPorts(self.snapshot, self.bus, self.journal, self.operator, lambda: NOW, self.warmth, self.rollouts)

    async def transition(self, server: str, message: str) -> int:
        """Append a transition, publish it as the fleet does, and return its id."""
        return await self.publish(transition_entry(server, message))

    async def publish(self, entry: LogEntry) -> int:
        """Append and publish any entry, and return its id."""
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.waiting.append((entry, committed))
        self.journal.append(entry, None)
        return await committed

    async def get(self, path: str, **options: Any) -> tuple[int, Any]:
        """Send a GET request and return the status and the JSON body."""
        async with self.client.get(path, **options) as response:
            return response.status, await response.json()


def transition_entry(server: str, message: str) -> LogEntry:
    """Return a transition with this message."""
    return LogEntry(
        at=NOW,
        kind=EntryKind.TRANSITION,
        reason=Reason.KEYS_MISSING.value,
        message=verbatim(message),
        server=server,
        group="default",
        source=State.CHECKING,
        dest=State.COLD,
        proved_by=Source.CHECK,
    )


def view(name: str, state: State, reason: Reason) -> ServerView:
    """Return the view of a server."""
    return ServerView(
        name, f"http://{name}", "default", state, NOW - 60, reason, verbatim("a sentence"), last_check=NOW - 5
    )


def two_servers() -> list[ServerView]:
    """Return the views of a loaded and a cold server."""
    cold = view(COLD, State.COLD, Reason.KEYS_MISSING)
    return [
        view(LOADED, State.LOADED, Reason.ALL_CACHED),
        cold._replace(
            missing=("pulid_model",), queue_remaining=2, waiting_for=message("wait.attempt"), next_action_at=NOW + 9
        ),
    ]


@asynccontextmanager
async def running_site(
    folder: Path,
    *,
    token: str | None = None,
    views: list[ServerView] | None = None,
    wrap: Callable[[Journal[ServerView]], Journal[ServerView]] = lambda journal: journal,
    hosts: Collection[str] = (),
    tokens: Mapping[str, ListenToken] = MappingProxyType({}),
    workflows: Mapping[str, object] = MappingProxyType({}),
    hookless: Collection[str] = (),
) -> AsyncIterator[Site]:
    """Run a site on loopback. `wrap` may replace the journal that the web side sees.

    Every server has a restart hook but those in `hookless`. Rolling restarts are stored, but not carried out.
    """
    thread = WriterThread()
    snapshot, bus = Snapshot(), Bus()
    waiting: list[tuple[LogEntry, asyncio.Future[int]]] = []

    def publish(entry: LogEntry) -> None:
        bus.publish(entry_message(entry, snapshot.get(entry.server or "")))
        for pair in waiting:
            if pair[0] == entry.numbered(None):
                waiting.remove(pair)
                pair[1].set_result(entry.seq or 0)
                break

    journal = quiet_journal(lambda: JournalStore(folder / "journal.db"), thread, publish)
    await journal.open()
    for one in two_servers() if views is None else views:
        snapshot.put(one)
    operator = RecordingOperator()
    warmth = Warmth(journal, snapshot, lambda: NOW, max_age_s=0)
    rollouts = rollouts_of(journal, snapshot, operator, hookless)
    ports = WebPorts(snapshot, bus, wrap(journal), operator, lambda: NOW, warmth, rollouts, workflows=lambda: workflows)
    secret = SecretStr(token) if token else None
    app = build_app(ports, token=secret, tokens=tokens, language="en", hosts=hosts)
    try:
        async with TestClient(TestServer(app)) as client:
            yield Site(client, snapshot, bus, journal, operator, warmth, ports.counters, waiting, rollouts)
    finally:
        await journal.close()
        thread.close()


def rollouts_of(
    journal: Journal[ServerView], snapshot: Snapshot, operator: Operator, hookless: Collection[str] = ()
) -> Rollouts:
    """Return rolling restarts that are stored in the journal."""
    clock = Clock(lambda: NOW, lambda: 0.5, lambda: str(uuid4()))
    hooked: Callable[[], Collection[str]] = lambda: {view.name for view in snapshot} - set(hookless)  # noqa: E731
    return Rollouts(
        RolloutPorts(JournalRollouts(journal), lambda: snapshot, hooked, operator, clock, lambda _notice, _what: None)
    )


@dataclass(frozen=True)
class Event:
    """One event of the stream as a browser would dispatch it."""

    id: int | None
    topic: str
    data: str


async def next_event(response: ClientResponse) -> Event | None:
    """Return the next block of the stream, None at its end. A block without data has an empty topic."""
    fields: dict[str, str] = {}
    while True:
        line = (await response.content.readline()).decode()
        if not line:
            return None
        if line == "\n":
            return Event(int(fields["id"]) if "id" in fields else None, fields.get("event", ""), fields.get("data", ""))
        name, _, value = line.rstrip("\n").partition(": ")
        fields[name] = value


async def next_events(response: ClientResponse, count: int) -> list[Event]:
    """Return the next `count` events with data, without other blocks."""
    events: list[Event] = []
    while len(events) < count:
        event = await next_event(response)
        assert event is not None, f"the stream ended after {events}"
        events += [event] if event.topic else []
    return events
