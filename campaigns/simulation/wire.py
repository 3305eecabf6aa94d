"""The wire between a daemon and one server: its faults, the requests in transit and its watcher."""

from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from campaigns.simulation.faults import DIAL_RATES, FRAME_RATES, POST_RATES, REQUEST_RATES, Faults
from statemachine.comfyui.transport import Reply
from statemachine.simulator import SimServer

if TYPE_CHECKING:
    from campaigns.simulation.sockets import Pipe


class Daemon(Protocol):
    """The daemon process that uses a wire."""

    dead: bool


class Watcher(Protocol):
    """Receives every event on the wire between a daemon and a server."""

    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int: ...

    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None: ...

    def request_failed(self, name: str, path: str) -> None: ...

    def post_processed(self, name: str, prompt_id: str, status: int) -> None: ...

    def dialled(self, name: str, client_id: str) -> None: ...

    def frame_delivered(self, name: str, client_id: str, frame: str | bytes) -> None: ...

    def link_ended(self, name: str, client_id: str) -> None: ...


class Wire:
    """The path from one daemon's host to one server, across restarts of the daemon."""

    def __init__(
        self,
        name: str,
        server: SimServer,
        faults: Faults,
        rng: Random,
        watcher: Watcher,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        *,
        quality: float,
        timeout_s: float,
        in_transit: dict[str, str] | None = None,
    ) -> None:
        self.name, self.server, self.faults, self.rng, self.watcher = name, server, faults, rng, watcher
        self.spawn, self.timeout_s = spawn, timeout_s
        self.requests = faults.dice(REQUEST_RATES, quality)
        self.posts = faults.dice(POST_RATES, quality)
        self.frames = faults.dice(FRAME_RATES, quality)
        self.dials = faults.dice(DIAL_RATES, quality)
        self.outage = False
        self.in_transit: dict[str, str] = {} if in_transit is None else in_transit
        """prompt_id → workflow of every POST that may still be accepted, from any daemon."""
        self._pipes: list[Pipe] = []

    def delay(self) -> float:
        """Return the one-way delay in seconds."""
        return 0.001 + 0.03 * self.rng.random() ** 4

    def begin_outage(self) -> None:
        """Drop all requests and silence the open connections."""
        self.outage = True
        for pipe in self._pipes:
            pipe.go_silent()

    def add(self, pipe: "Pipe") -> None:
        """Add an open connection."""
        self._pipes = [one for one in self._pipes if not one.ended]
        self._pipes.append(pipe)


def prompt_of(body: bytes) -> tuple[str, str]:
    """Return prompt_id and workflow of a warm-up POST; empty strings for any other body."""
    try:
        data = orjson.loads(body)
        return str(data["prompt_id"]), str(data["extra_data"]["comfywarm"]["workflow"])
    except (ValueError, KeyError, TypeError):
        return "", ""
