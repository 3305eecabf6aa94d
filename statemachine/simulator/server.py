"""One simulated ComfyUI server, without a socket: `handle` is its HTTP, `connect` its /ws.

Everything that takes time goes through `asyncio.sleep`, chance through the given `random.Random`, and the date
through the given clock, so the same model runs in real time, or in virtual time within a simulation.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, NamedTuple, Protocol

from statemachine.simulator import behaviours, routes
from statemachine.simulator.nodes import MISSION_KEYS, cache_workflow, users_job
from statemachine.simulator.process import Process
from statemachine.simulator.profiles import Persona

LOG_LIMIT = 1_000
SERVER_FEATURES = {"supports_preview_metadata": True, "max_upload_size": 104_857_600}


class Sink(Protocol):
    """The far end of one /ws connection."""

    def send(self, text: str) -> None: ...

    def close(self) -> None: ...


class Received(NamedTuple):
    """One POST /prompt that came in: its JSON body (or None) and what it was answered."""

    prompt_id: str | None
    status: int
    body: Any


class Door(Protocol):
    """Where a server listens. `shut` refuses new connections and drops the open ones."""

    async def open(self) -> None: ...

    async def shut(self) -> None: ...


class SimServer:
    """A server of one persona. `start` it inside a running loop, and `stop` it."""

    def __init__(
        self, persona: Persona, rng: Random, *, scale: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        """`scale` multiplies every time of the persona."""
        self.persona = persona
        self.rng = rng
        self.scale = scale
        self.log: deque[Received] = deque(maxlen=LOG_LIMIT)
        """Every POST /prompt, newest last; restarts do not empty it."""
        self.own_workflows = 0
        """How often the server started its own cache workflow."""
        self.door: Door | None = None
        self.up = False
        self.sockets: dict[str, Sink] = {}
        self._open: set[Sink] = set()
        self._clock = clock
        self._life: list[asyncio.Task[None]] = []
        self._work: asyncio.Task[None] | None = None
        self.process = self._new_process()
        """This life of the server; a restart makes a new one."""
        if persona.loaded:
            self.process.load_everything()

    @property
    def keys(self) -> dict[str, str]:
        """The cached keys and their tags."""
        return self.process.keys

    # Life

    async def start(self) -> None:
        """Begin to work and to behave as the persona does."""
        if self.persona.listening:
            await self.come_back()
        self._life = [asyncio.create_task(habit) for habit in behaviours.habits(self)]

    async def stop(self) -> None:
        """End every task of this server."""
        for task in self._life:
            task.cancel()
        await asyncio.gather(*self._life, return_exceptions=True)
        await self.go_down()

    async def go_down(self) -> None:
        """The process dies: queue, history, number, keys and connections are gone."""
        self.up = False
        if self._work:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        for sink in list(self._open):
            sink.close()
        self.sockets.clear()
        self._open.clear()
        self.process = self._new_process()
        if self.door:
            await self.door.shut()

    async def come_back(self) -> None:
        """Listen again, at the same place, as a new process. Nothing happens if it is up."""
        if self.up:
            return
        if self.door:
            await self.door.open()
        self.up = True
        self._work = asyncio.create_task(self.process.work())

    async def restart(self) -> None:
        await self.go_down()
        await self.come_back()

    def stall(self) -> None:
        """The worker stands still; HTTP and sockets go on."""
        self.process.executor.may_run.clear()

    def resume(self) -> None:
        self.process.executor.may_run.set()

    def interrupt(self) -> None:
        """Interrupt whatever runs; noticed at the next step of its node."""
        self.process.executor.interrupting = True

    def drop_keys(self, *, keep_executor: bool) -> None:
        """Lose every cached key. With `keep_executor` the nodes stay cached: the trap of docs/comfyui.md."""
        self.process.drop_keys(keep_executor=keep_executor)

    def start_foreign_job(self, seconds: float) -> str:
        """A user's prompt, submitted by a client that nobody here listens as; its prompt_id."""
        name = f"user-{self.process.number}"
        return self.process.enqueue(users_job(name, seconds), self.new_prompt_id(), {"client_id": name})

    def start_own_workflow(self) -> str:
        """What the mission's plug-in does when keys are missing; it has no client_id, so nobody is told."""
        self.own_workflows += 1
        return self.process.enqueue(cache_workflow(), self.new_prompt_id(), {})

    # HTTP and /ws

    async def handle(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> routes.Answer:
        """Answer one request; `path` is decoded. Raises ConnectionError while the server is down."""
        self._refuse_if_down()
        await asyncio.sleep(self.persona.http_delay * self.scale)
        self._refuse_if_down()
        return routes.answer(self, routes.Request(method, path, query or {}, body, headers or {}))

    def connect(self, client_id: str, sink: Sink) -> str:
        """Open /ws?clientId=…; the sid. An older socket of the same id stays open, unheard."""
        self._refuse_if_down()
        sid = client_id or uuid.UUID(int=self.rng.getrandbits(128)).hex
        self._open.add(sink)
        self.sockets[sid] = sink
        self.send("status", {**self.process.status(), "sid": sid}, sid)
        run = self.process.executor.run_now
        if run and run.client_id == sid and run.node_id:
            self.send("executing", {"node": run.node_id}, sid)
        return sid

    def disconnect(self, sid: str, sink: Sink) -> None:
        """A socket closed. ComfyUI forgets whoever has the id now, even if that is a newer one [transcript 08]."""
        self._open.discard(sink)
        self.sockets.pop(sid, None)

    def hear(self, sid: str, text: str) -> None:
        """A message from a client: only the announcement of its features is answered."""
        if '"feature_flags"' in text:
            self.send("feature_flags", SERVER_FEATURES, sid)

    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        """One frame to the owner of `client_id`, if it is connected; to everyone for None."""
        owners = self.sockets if client_id is None else self.sockets.keys() & {client_id}
        text = json.dumps({"type": event, "data": data}) if owners else ""
        for sid in owners:
            self.sockets[sid].send(text)

    # The model's inside, for its routes, and habits

    def new_prompt_id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def missing_keys(self) -> list[str]:
        """The keys that the mission's plug-in looks for and does not find."""
        return [key for key in MISSION_KEYS if key not in self.keys]

    def note_received(self, prompt_id: str | None, status: int, body: Any) -> None:
        """Keep a POST /prompt for whoever counts warm-ups."""
        self.log.append(Received(prompt_id, status, body))

    def _new_process(self) -> Process:
        instance = uuid.UUID(int=self.rng.getrandbits(128), version=4).hex if self.persona.companion else None
        return Process(self.persona, self.scale, self.send, self._clock, instance)

    def _refuse_if_down(self) -> None:
        if not self.up:
            raise ConnectionRefusedError("the simulated server is down")
