"""Simulated servers that announce moments and keep books of every prompt of ours."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.kill.moments import Moment, Moments
from statemachine.simulator import PERSONAS, Persona, SimServer
from statemachine.simulator.http import Response
from statemachine.simulator.sockets import Gateway

SCALE = 0.05
"""A warm-up takes 0.8 s."""
MARKER = "comfywarm"
ARRIVALS = {
    ("GET", "/queue"): Moment.QUEUE_READ,
    ("GET", "/cache/check"): Moment.CHECK_ASKED,
    ("GET", "/inspire/cache/list"): Moment.CHECK_ASKED,
    ("POST", "/prompt"): Moment.POST_ARRIVES,
}
SENT = {"execution_start": Moment.PROMPT_RUNS, "execution_success": Moment.PROMPT_ENDS}


@dataclass(frozen=True)
class Role:
    """What one server is and what happens to it: weights of the actions of `churn`."""

    persona: Persona
    workflow: str = "cache_models"
    evicted: int = 1
    restarted: int = 0
    used: int = 0
    forgotten: int = 0
    post_lies_s: float = 0.0
    """So long may a POST lie before the server takes it, also when its sender has been killed."""


POST_LIES = 0.7
"""The probability, where the role allows it."""
LONG_WARMING = replace(PERSONAS["cold"], load_seconds=16.0)
"""Its warm-up takes 3.2 s, so that a POST that was taken late finds another one still there, if there is one."""

ROLES: Mapping[str, Role] = {
    "cold": Role(PERSONAS["cold"]),
    "evicting": Role(PERSONAS["loaded"], evicted=4),
    "restarting": Role(PERSONAS["loaded"], restarted=3),
    "busy": Role(PERSONAS["cold"], evicted=2, used=4),
    "slow": Role(PERSONAS["slow"], evicted=2),
    "late": Role(LONG_WARMING, evicted=6, post_lies_s=4.0),
    "later": Role(LONG_WARMING, evicted=6, post_lies_s=4.0),
    "inspire": Role(PERSONAS["inspire"], evicted=2),
    "stock": Role(PERSONAS["stock"], workflow="smoke", restarted=1, used=2),
    "history": Role(replace(PERSONAS["inspire"], name="history", inspire=False), restarted=1, used=2),
    "auto_executing": Role(replace(PERSONAS["auto_executing"], load_seconds=16.0), evicted=3),
    "forgetful": Role(PERSONAS["cold"], forgotten=2),
    "raising": Role(PERSONAS["raising"], evicted=0),
}
"""One server of each; `raising` ends failed for a diagnosed reason."""


class WatchedServer(SimServer):
    """Judges at each POST it takes, the only moment at which the number of our prompts on it can rise."""

    def __init__(self, name: str, role: Role, moments: Moments, rng: Random) -> None:
        self.name = name
        self.role = role
        self.moments = moments
        self.accepted: list[str] = []
        """The prompt_ids of ours that it took, over all its lives."""
        self.together: list[str] = []
        """Violations: a prompt that was taken while another of its workflow was queued or running."""
        self.sent_twice: list[str] = []
        self.most_own_together = 0
        self.taken_from_the_dead = 0
        """POSTs that it answered when the daemon that had sent them was gone."""
        self.succeeded: set[str] = set()
        super().__init__(role.persona, rng, scale=SCALE)

    @override
    async def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        self._refuse_if_down()
        if (method, path) in ARRIVALS:
            self.moments.happened(ARRIVALS[method, path])
        life = self.sender_lives(headers or {})
        if method == "POST" and self.rng.random() < POST_LIES:
            await self._let_lie()
        answer = await super().handle(method, path, query, body, headers)
        self.taken_from_the_dead += method == "POST" and life != self.sender_lives(headers or {})
        return answer

    def sender_lives(self, _headers: Mapping[str, str]) -> int:
        """How many lives of whoever sends such a request have ended."""
        return self.moments.life

    @override
    def record_post(self, prompt_id: str | None, status: int, body: Any) -> None:
        super().record_post(prompt_id, status, body)
        if prompt_id is None or MARKER not in body.get("extra_data", {}):
            return
        if prompt_id in self.accepted:
            self.sent_twice.append(prompt_id)
        self.accepted.append(prompt_id)
        workflow = body["extra_data"][MARKER]["workflow"]
        same = [one for one, its_workflow in self.ours_in_queue() if its_workflow == workflow]
        if len(same) > 1:
            self.together.append(f"{self.name}: {workflow} is queued or running as {', '.join(same)}")
        self.moments.happened(Moment.POST_TAKEN)

    @override
    def start_own_workflow(self) -> str:
        prompt_id = super().start_own_workflow()
        queue = self.process.queue
        own = [item for item in (*queue.pending, queue.running) if item and "client_id" not in item.extra_data]
        self.most_own_together = max(self.most_own_together, len(own))
        return prompt_id

    @override
    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        super().send(event, data, client_id)
        if event in SENT and data["prompt_id"] in self.accepted:
            if event == "execution_success":
                self.succeeded.add(data["prompt_id"])
            self.moments.happened(SENT[event])

    @override
    async def go_down(self) -> None:
        await super().go_down()
        self.moments.happened(Moment.SERVER_DIES)

    async def _let_lie(self) -> None:
        if self.role.post_lies_s:
            self.moments.happened(Moment.POST_LIES)
            await asyncio.sleep(self.rng.uniform(0.4, 1.0) * self.role.post_lies_s)

    def ours_in_queue(self) -> list[tuple[str, str]]:
        """(prompt_id, workflow) of every prompt of ours that is pending or running."""
        queue = self.process.queue
        items = [item for item in (*queue.pending, queue.running) if item and MARKER in item.extra_data]
        return [(item.prompt_id, item.extra_data[MARKER]["workflow"]) for item in items]

    @property
    def warm(self) -> bool:
        """By its own books: the keys are there; where it knows no keys, our success is the newest in history."""
        if self.persona.text_check == "absent" and not self.persona.inspire:
            history = list(self.process.queue.history.items())
            return bool(history) and history[-1][0] in self.succeeded
        return not self.missing_keys()


@asynccontextmanager
async def watched_servers(seed: int, moments: Moments) -> AsyncIterator[dict[str, tuple[WatchedServer, str]]]:
    """One listening server of each role: name → (server, URL)."""
    async with Gateway() as gateway:
        servers: dict[str, tuple[WatchedServer, str]] = {}
        for name, role in ROLES.items():
            server = WatchedServer(name, role, moments, Random(f"{seed}/{name}"))
            host, port = gateway.add(server, "127.0.0.1", 0)
            servers[name] = server, f"http://{host}:{port}"
        for server, _ in servers.values():
            await server.start()
        yield servers
