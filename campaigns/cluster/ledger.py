"""Simulated servers that record the sender and the time of each POST and check each accepted one."""

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
from statemachine.simulator.http import Request, Response

SENDER = "X-Campaign-Node"
"""The header in which each daemon sends its name."""


@dataclass(frozen=True)
class Post:
    """An accepted warm-up. `sent_at` is its arrival, which may be seconds before its acceptance."""

    sent_at: float
    taken_at: float
    server: str
    node: str
    prompt_id: str


@dataclass
class Ledger:
    """The records of all servers. `runs` counts the ended runs of each node."""

    posts: list[Post] = field(default_factory=list)
    unnecessary: list[str] = field(default_factory=list)
    """Violations: a prompt that was accepted while no model was missing."""
    runs: Counter[str] = field(default_factory=Counter)

    def as_json(self, servers: list["LedgerServer"]) -> dict[str, Any]:
        at_once = [duplicate for server in servers for duplicate in server.duplicates]
        repeated = [
            f"{server.name}: {one} was submitted twice" for server in servers for one in server.repeated_prompts
        ]
        return {
            "posts": [asdict(post) for post in self.posts],
            "duplicates": at_once + repeated,
            "unnecessary": self.unnecessary,
            "accepted_after_death": sum(server.accepted_after_death for server in servers),
        }


_PREFIX = "campaign-node-"
_sender: ContextVar[tuple[str, float]] = ContextVar("_sender", default=("?", 0.0))


def sender(node: str) -> str:
    """Return the header's value. Header values are redacted everywhere, so it must not be a common text."""
    return f"{_PREFIX}{node}"


def _node(headers: Mapping[str, str]) -> str:
    return headers.get(SENDER, "").removeprefix(_PREFIX)


class LedgerServer(WatchedServer):
    """A server that writes to the ledger of the fleet."""

    def __init__(self, name: str, role: Role, ledger: Ledger, rng: Random) -> None:
        self._ledger = ledger
        super().__init__(name, role, Moments(), rng)

    @override
    async def handle(self, request: Request) -> Response:
        _sender.set((_node(request.headers), time.monotonic()))
        return await super().handle(request)

    @override
    def sender_runs(self, headers: Mapping[str, str]) -> int:
        return self._ledger.runs[_node(headers)]

    @override
    def record_post(self, prompt_id: str | None, status: int, body: Any) -> None:
        super().record_post(prompt_id, status, body)
        if prompt_id is None or MARKER not in body.get("extra_data", {}):
            return
        node, sent_at = _sender.get()
        self._ledger.posts.append(Post(sent_at, time.monotonic(), self.name, node, prompt_id))
        if self.warm:
            self._ledger.unnecessary.append(
                f"{self.name}: {prompt_id} of {node} was sent although no model was missing"
            )
