"""Rolling restarts over a fleet of views in virtual time: each server restarts within seconds, or fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from typing_extensions import override

from statemachine.core.messages import Message, message
from statemachine.core.ports import Action, ActionRefusedError, Clock, NotOwnedError, Operator, Terms
from statemachine.core.restart import NO_RESTART_TERMS, Restart, RestartStage, RestartTerms
from statemachine.core.rollout import Rollout, RolloutLimits
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from statemachine.rollouts.service import RolloutPorts, Rollouts
from statemachine.rollouts.store import JournalRollouts, RolloutStore
from tests.journal.samples import at_once

EPOCH = 1_767_225_600.0
RESTART_S = 20.0
_IDS = count(1)


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def now() -> float:
    return EPOCH + loop_time()


def clock() -> Clock:
    return Clock(now=now, uniform=lambda: 0.5, new_id=lambda: f"run{next(_IDS)}")


def view_of(
    name: str, group: str = "g", state: State = State.LOADED, workflows: tuple[str, ...] = ("w",)
) -> ServerView:
    return ServerView(
        name,
        f"http://{name}",
        group,
        state,
        EPOCH,
        Reason.ALL_CACHED,
        message("reason.all_cached"),
        workflows=workflows,
    )


@dataclass
class FakeFleet(Operator):
    """Servers that restart when they are asked to. `hooks` counts the restarts that were carried out, by their ids.

    `fails` gives the reason why a server's restart fails, `refuses` has servers whose requests are refused, and
    `away` those without an owner. `most_away` is the highest number of servers that were not warm at once. `too_many`
    has the restarts that began although `limit` servers were away already.
    """

    views: dict[str, ServerView]
    hooks: Counter[str] = field(default_factory=Counter)
    fails: dict[str, Reason] = field(default_factory=dict)
    refuses: set[str] = field(default_factory=set)
    away: set[str] = field(default_factory=set)
    hookless: set[str] = field(default_factory=set)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    most_away: int = 0
    limit: int | None = None
    too_many: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @override
    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_RESTART_TERMS) -> bool:
        assert action is Action.RESTART
        assert isinstance(terms, RestartTerms)
        self.asked.append((server, by))
        if server in self.away:
            raise NotOwnedError(f"no node owns {server}")
        if server in self.refuses:
            raise ActionRefusedError(message("restart_no_hook"))
        known = self.views[server].restart
        if known is None or not (known.is_open or known.id == terms.id):
            self.hooks[terms.id] += 1
            self._check_limit(server)
            task = asyncio.create_task(self._restart(Restart(terms.id, server, terms.cause, now(), by)))
            self._tasks.add(task)
        return True

    def _check_limit(self, server: str) -> None:
        away = {name for name, one in self.views.items() if one.state is not State.LOADED or name == server}
        if self.limit is not None and len(away) > self.limit:
            self.too_many.append(f"{server}: {sorted(away)} of at most {self.limit}")

    async def _restart(self, restart: Restart) -> None:
        name = restart.server
        self._show(name, State.DRAINING, restart)
        await asyncio.sleep(RESTART_S / 4)
        restart = replace(restart, stage=RestartStage.HOOK, hook_started_at=now())
        self._show(name, State.RESTARTING, restart)
        await asyncio.sleep(RESTART_S / 4)
        if name in self.fails:
            self._show(name, State.FAILED, replace(restart, stage=RestartStage.FAILED, reason=self.fails[name]))
            return
        restart = replace(restart, stage=RestartStage.RETURNED, returned_at=now())
        self._show(name, State.WARMING, restart)
        await asyncio.sleep(RESTART_S / 2)
        self._show(name, State.LOADED, replace(restart, stage=RestartStage.SUCCEEDED, ended_at=now()))

    def _show(self, name: str, state: State, restart: Restart) -> None:
        self.views[name] = self.views[name]._replace(state=state, restart=restart)
        self.most_away = max(self.most_away, sum(one.state is not State.LOADED for one in self.views.values()))

    def hooked(self) -> set[str]:
        return set(self.views) - self.hookless

    def __iter__(self) -> Iterator[ServerView]:
        return iter(self.views.values())

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def warm_fleet(count: int) -> FakeFleet:
    return FakeFleet({name: view_of(name) for name in (f"s{number}" for number in range(count))})


@dataclass
class Notices:
    seen: list[tuple[Notice, Message]] = field(default_factory=list)

    def __call__(self, notice: Notice, what: Message) -> None:
        self.seen.append((notice, what))

    @property
    def names(self) -> list[Notice]:
        return [notice for notice, _ in self.seen]


def rollouts_over(fleet: FakeFleet, store: RolloutStore, notices: Notices | None = None) -> Rollouts:
    notify = Notices() if notices is None else notices
    return Rollouts(RolloutPorts(store, lambda: fleet, fleet.hooked, fleet, clock(), notify))


@asynccontextmanager
async def running(rollouts: Rollouts) -> AsyncIterator[Rollouts]:
    """Carry runs out within the block; leaving it is a crash of the daemon."""
    task = asyncio.create_task(rollouts.run())
    try:
        yield rollouts
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def journal_in(folder: Path) -> AsyncIterator[JournalRollouts]:
    """Open the store of a daemon's run over the folder's journal."""
    journal = Journal[ServerView](
        lambda: JournalStore(folder / "journal.sqlite3"), at_once, lambda *_: None, lambda _: None
    )
    await journal.open()
    try:
        yield JournalRollouts(journal)
    finally:
        await journal.close()


async def until(rollouts: Rollouts, holds: Callable[[Rollout], bool], seconds: float = 3_600.0) -> Rollout:
    """Return the run once it satisfies `holds`."""
    async with asyncio.timeout(seconds):
        while True:
            run = await rollouts.latest()
            if run is not None and holds(run):
                return run
            await asyncio.sleep(0.5)


async def until_ended(rollouts: Rollouts) -> Rollout:
    return await until(rollouts, lambda run: run.ended_at is not None)


TWO = RolloutLimits(2, 1)
ONE = RolloutLimits(1, 1)
