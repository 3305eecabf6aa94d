"""Simulated servers that note who sent which POST when, and judge each that they take."""

import time
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.kill.moments import Moments
from campaigns.kill.servers import MARKER, Role, WatchedServer
from statemachine.simulator.http import Response

SENDER = "X-Campaign-Node"
"""The header by which each daemon's settings say whose request it is."""


@dataclass(frozen=True)
class Post:
    """A prompt of ours that a server took. `sent_at` is when it arrived, which may be seconds before it was taken."""

    sent_at: float
    taken_at: float
    server: str
    node: str
    prompt_id: str


@dataclass
class Ledger:
    """Of all servers. `lives` counts for each node how many lives of it have ended."""

    posts: list[Post] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    """Violations: a prompt that was taken while nothing was missing."""
    lives: Counter[str] = field(default_factory=Counter)

    def as_json(self, servers: list["LedgerServer"]) -> dict[str, Any]:
        together = [wrong for server in servers for wrong in server.together]
        twice = [f"{server.name}: {one} was submitted twice" for server in servers for one in server.sent_twice]
        return {
            "posts": [asdict(post) for post in self.posts],
            "duplicates": together + twice,
            "needless": self.needless,
            "taken_from_the_dead": sum(server.taken_from_the_dead for server in servers),
        }


_SAYS = "campaign-node-"
_sender: ContextVar[tuple[str, float]] = ContextVar("_sender", default=("?", 0.0))


def sender(node: str) -> str:
    """What the header says. It counts as a secret, which is struck out wherever it is found: no common letter."""
    return f"{_SAYS}{node}"


def _node(headers: Mapping[str, str]) -> str:
    return headers.get(SENDER, "").removeprefix(_SAYS)


class LedgerServer(WatchedServer):
    """`ledger` is that of the fleet."""

    def __init__(self, name: str, role: Role, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        super().__init__(name, role, Moments(), rng)

    @override
    async def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        _sender.set((_node(headers or {}), time.monotonic()))
        return await super().handle(method, path, query, body, headers)

    @override
    def sender_lives(self, headers: Mapping[str, str]) -> int:
        return self._ledger.lives[_node(headers)]

    @override
    def record_post(self, prompt_id: str | None, status: int, body: Any) -> None:
        super().record_post(prompt_id, status, body)
        if prompt_id is None or MARKER not in body.get("extra_data", {}):
            return
        node, sent_at = _sender.get()
        self._ledger.posts.append(Post(sent_at, time.monotonic(), self.name, node, prompt_id))
        if self.warm:
            self._ledger.needless.append(f"{self.name}: {prompt_id} of {node} came though nothing was missing")
