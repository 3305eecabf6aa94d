"""The wire between the daemon and one server: its faults, what travels on it, and who watches it."""

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
    """What the network must know of the daemon's life that uses it."""

    dead: bool


class Watcher(Protocol):
    """Hears of everything that passes between a daemon and a server."""

    def request_left(self, name: str, method: str, path: str, body: bytes | None) -> int: ...

    def reply_delivered(self, name: str, path: str, reply: Reply, *, genuine: bool, ticket: int) -> None: ...

    def request_failed(self, name: str, path: str) -> None: ...

    def post_processed(self, name: str, prompt_id: str, status: int) -> None: ...

    def dialled(self, name: str, client_id: str) -> None: ...

    def frame_delivered(self, name: str, client_id: str, frame: str | bytes) -> None: ...

    def link_ended(self, name: str, client_id: str) -> None: ...


class Wire:
    """The way from one daemon's host to one server, which outlives daemons."""

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
        travelling: dict[str, str] | None = None,
    ) -> None:
        self.name, self.server, self.faults, self.rng, self.watcher = name, server, faults, rng, watcher
        self.spawn, self.timeout_s = spawn, timeout_s
        self.requests = faults.dice(REQUEST_RATES, quality)
        self.posts = faults.dice(POST_RATES, quality)
        self.frames = faults.dice(FRAME_RATES, quality)
        self.dials = faults.dice(DIAL_RATES, quality)
        self.outage = False
        self.travelling: dict[str, str] = {} if travelling is None else travelling
        """prompt_id → workflow of every POST that has left and may still be accepted, whoever sent it."""
        self._pipes: list[Pipe] = []

    def delay(self) -> float:
        """One way, seconds."""
        return 0.001 + 0.03 * self.rng.random() ** 4

    def begin_outage(self) -> None:
        """Nothing gets through any more, and open connections fall silent."""
        self.outage = True
        for pipe in self._pipes:
            pipe.fall_silent()

    def keep(self, pipe: "Pipe") -> None:
        """Remember an open connection."""
        self._pipes = [one for one in self._pipes if not one.ended]
        self._pipes.append(pipe)


def prompt_of(body: bytes) -> tuple[str, str]:
    """prompt_id and workflow of a POST of ours; empty where it is none."""
    try:
        data = orjson.loads(body)
        return str(data["prompt_id"]), str(data["extra_data"]["comfywarm"]["workflow"])
    except (ValueError, KeyError, TypeError):
        return "", ""
