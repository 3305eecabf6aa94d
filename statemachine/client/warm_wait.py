"""Wait until servers are loaded, by the event stream: nothing is polled while nothing happens."""

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from statemachine.client.answers import EventAnswer, StatusAnswer, event_from
from statemachine.client.api import Block, DaemonApi, Query
from statemachine.client.errors import DaemonUnavailableError, NotWarmError, first_unknown
from statemachine.core.backoff import backoff
from statemachine.core.messages import message

NEWEST = 10**18 - 1
"""An event id above all others: the stream begins with what happens next."""
REFRESH_S = 30.0
"""Time after which the status is read again, because servers may have left the fleet."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
LOADED = "loaded"


@dataclass(frozen=True, slots=True)
class Goal:
    """The servers to wait for, all of them or at least this many. Without a name and a group it is the whole fleet."""

    server: str | None = None
    group: str | None = None
    at_least: int | None = None

    @property
    def query(self) -> Query:
        """The filter of the event stream."""
        chosen = (("server", self.server), ("group", self.group))
        return [(name, value) for name, value in chosen if value is not None]


@dataclass(slots=True)
class _Seen:
    state: str
    reason: str
    since: datetime


@dataclass(slots=True)
class WarmTally:
    """The states of the servers of a goal, from the status and the events after it."""

    goal: Goal
    has_begun: bool = False
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def set_status(self, status: StatusAnswer) -> None:
        """Start over with the status. Raises UnknownNameError if it lacks the server or the group."""
        servers = status["servers"]
        names, groups = [one["name"] for one in servers], {one["group"] for one in servers}
        chosen = [[name] if name is not None else [] for name in (self.goal.server, self.goal.group)]
        if unknown := first_unknown(chosen[0], names, chosen[1], groups):
            raise unknown
        self.has_begun = True
        self._seen = {
            one["name"]: _Seen(one["state"], one["reason"], _time(one["since"] or status["generated_at"]))
            for one in servers
            if self.goal.server in {None, one["name"]} and self.goal.group in {None, one["group"]}
        }

    def note(self, event: EventAnswer) -> None:
        """Note a transition, unless the status is newer."""
        name, state, at = event["server"], event["to"], _time(event["at"])
        if name is None or state is None:
            return
        if name not in self._seen or at >= self._seen[name].since:
            self._seen[name] = _Seen(state, event["reason"], at)

    @property
    def is_reached(self) -> bool:
        """Whether enough servers are loaded."""
        if not self.has_begun:
            return False
        loaded = sum(one.state == LOADED for one in self._seen.values())
        return loaded >= (len(self._seen) if self.goal.at_least is None else self.goal.at_least)

    def waiting(self) -> dict[str, str]:
        """Return `state/reason` of each server that is not loaded."""
        return {name: f"{one.state}/{one.reason}" for name, one in self._seen.items() if one.state != LOADED}


async def wait_until_warm(api: DaemonApi, goal: Goal, timeout_s: float) -> None:
    """Return when enough servers are loaded. Raises NotWarmError after `timeout_s`.

    Raises DaemonUnavailableError if no daemon answers at the start; one that stops answering later is waited for.
    """
    tally = WarmTally(goal)
    try:
        async with asyncio.timeout(timeout_s):
            await _watch(api, tally)
    except TimeoutError:
        raise _not_warm(tally.waiting(), timeout_s) from None


def _not_warm(waiting: dict[str, str], timeout_s: float) -> NotWarmError:
    named = [f"{name} ({why})" for name, why in waiting.items()]
    return NotWarmError(message("client.not_warm", seconds=timeout_s, count=len(waiting), servers=named), waiting)


async def _watch(api: DaemonApi, tally: WarmTally) -> None:
    tries = 0
    while not tally.is_reached:
        try:
            async with asyncio.timeout(REFRESH_S):
                await _follow(api, tally)
        except TimeoutError:
            tries = 0
        except DaemonUnavailableError:
            if not tally.has_begun:
                raise
            tries += 1
            await asyncio.sleep(backoff(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S, random.random))


async def _follow(api: DaemonApi, tally: WarmTally) -> None:
    """Read the status once the stream has begun, so that no change between the two is missed."""
    is_first = True
    async with aclosing(api.blocks(NEWEST, tally.goal.query)) as blocks:
        async for block in blocks:
            if is_first:
                tally.set_status(cast("StatusAnswer", await api.get("/api/status")))
            elif (event := _transition(block, api)) is not None:
                tally.note(event)
            is_first = False
            if tally.is_reached:
                return


def _transition(block: Block, api: DaemonApi) -> EventAnswer | None:
    try:
        return event_from(block.data) if block.event == "transition" else None
    except ValueError:
        raise api.not_comfywarm() from None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
