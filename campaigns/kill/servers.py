"""Simulated servers that report moments and record every warm-up prompt."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from typing_extensions import override

from campaigns.kill.moments import Moment, Moments
from statemachine.simulator import PROFILES, Profile, SimServer
from statemachine.simulator.http import Request, Response
from statemachine.simulator.sockets import Gateway

SCALE = 0.05
"""A warm-up takes 0.8 s."""
MARKER = "comfywarm"
ARRIVALS = {
    ("GET", "/queue"): Moment.QUEUE_READ,
    ("GET", "/cache/check"): Moment.CHECK_ARRIVES,
    ("GET", "/inspire/cache/list"): Moment.CHECK_ARRIVES,
    ("POST", "/prompt"): Moment.POST_ARRIVES,
}
SENT = {"execution_start": Moment.PROMPT_RUNS, "execution_success": Moment.PROMPT_ENDS}


@dataclass(frozen=True)
class Role:
    """One server's profile and the weights of its actions in `churn`."""

    profile: Profile
    workflow: str = "cache_models"
    evicted: int = 1
    restarted: int = 0
    used: int = 0
    forgotten: int = 0
    post_held_s: float = 0.0
    """Longest time that the server holds a POST, even if its sender has been killed."""


POST_HELD = 0.7
"""The probability of holding a POST, if the role allows it."""
LONG_WARMING = replace(PROFILES["cold"], load_seconds=16.0)
"""Its warm-up takes 3.2 s, so that a held POST overlaps with a duplicate."""

ROLES: Mapping[str, Role] = {
    "cold": Role(PROFILES["cold"]),
    "evicting": Role(PROFILES["loaded"], evicted=4),
    "restarting": Role(PROFILES["loaded"], restarted=3),
    "busy": Role(PROFILES["cold"], evicted=2, used=4),
    "slow": Role(PROFILES["slow"], evicted=2),
    "late": Role(LONG_WARMING, evicted=6, post_held_s=4.0),
    "later": Role(LONG_WARMING, evicted=6, post_held_s=4.0),
    "inspire": Role(PROFILES["inspire"], evicted=2),
    "stock": Role(PROFILES["stock"], workflow="smoke", restarted=1, used=2),
    "history": Role(replace(PROFILES["inspire"], name="history", inspire=False), restarted=1, used=2),
    "auto_executing": Role(replace(PROFILES["auto_executing"], load_seconds=16.0), evicted=3),
    "forgetful": Role(PROFILES["cold"], forgotten=2),
    "raising": Role(PROFILES["raising"], evicted=0),
}
"""One server of each. `raising` ends as failed with a diagnosed reason."""


class WatchedServer(SimServer):
    """A server that checks for duplicates at each accepted POST."""

    def __init__(self, name: str, role: Role, moments: Moments, rng: Random) -> None:
        self.name = name
        self.role = role
        self.moments = moments
        self.accepted: list[str] = []
        """The accepted warm-up prompt_ids, across restarts."""
        self.duplicates: list[str] = []
        """Violations: a prompt that was accepted while another of its workflow was queued or running."""
        self.repeated_prompts: list[str] = []
        self.most_own_at_once = 0
        self.accepted_after_death = 0
        """Number of POSTs whose sender had ended before the response."""
        self.succeeded: set[str] = set()
        super().__init__(role.profile, rng, scale=SCALE)

    @override
    async def handle(self, request: Request) -> Response:
        self._refuse_if_down()
        moment = ARRIVALS.get((request.method, request.path))
        if moment is not None:
            self.moments.happened(moment)
        runs = self.sender_runs(request.headers)
        if request.method == "POST" and self.rng.random() < POST_HELD:
            await self._hold_post()
        response = await super().handle(request)
        self.accepted_after_death += request.method == "POST" and runs != self.sender_runs(request.headers)
        return response

    def sender_runs(self, _headers: Mapping[str, str]) -> int:
        """Return the number of ended runs of the request's sender."""
        return self.moments.run

    @override
    def record_post(self, prompt_id: str | None, status: int, body: Any) -> None:
        super().record_post(prompt_id, status, body)
        if prompt_id is None or MARKER not in body.get("extra_data", {}):
            return
        if prompt_id in self.accepted:
            self.repeated_prompts.append(prompt_id)
        self.accepted.append(prompt_id)
        workflow = body["extra_data"][MARKER]["workflow"]
        same = [one for one, other in self.warm_ups_in_queue() if other == workflow]
        if len(same) > 1:
            self.duplicates.append(f"{self.name}: {workflow} is queued or running as {', '.join(same)}")
        self.moments.happened(Moment.POST_ACCEPTED)

    @override
    def start_own_workflow(self) -> str:
        prompt_id = super().start_own_workflow()
        queue = self.process.queue
        own = [item for item in (*queue.pending, queue.running) if item and "client_id" not in item.extra_data]
        self.most_own_at_once = max(self.most_own_at_once, len(own))
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

    async def _hold_post(self) -> None:
        if self.role.post_held_s:
            self.moments.happened(Moment.POST_HELD)
            await asyncio.sleep(self.rng.uniform(0.4, 1.0) * self.role.post_held_s)

    def warm_ups_in_queue(self) -> list[tuple[str, str]]:
        """Return (prompt_id, workflow) of each pending or running warm-up."""
        queue = self.process.queue
        items = [item for item in (*queue.pending, queue.running) if item and MARKER in item.extra_data]
        return [(item.prompt_id, item.extra_data[MARKER]["workflow"]) for item in items]

    @property
    def warm(self) -> bool:
        """Whether all keys are present; without keys, whether the newest history entry is a warm-up's success."""
        if self.profile.text_check == "absent" and not self.profile.inspire:
            history = list(self.process.queue.history.items())
            return bool(history) and history[-1][0] in self.succeeded
        return not self.missing_keys()


@asynccontextmanager
async def watched_servers(seed: int, moments: Moments) -> AsyncIterator[dict[str, tuple[WatchedServer, str]]]:
    """Run one listening server per role: name → (server, URL)."""
    async with Gateway() as gateway:
        servers: dict[str, tuple[WatchedServer, str]] = {}
        for name, role in ROLES.items():
            server = WatchedServer(name, role, moments, Random(f"{seed}/{name}"))
            host, port = gateway.add(server, "127.0.0.1", 0)
            servers[name] = server, f"http://{host}:{port}"
        for server, _ in servers.values():
            await server.start()
        yield servers
