"""One simulated ComfyUI server without a socket: `handle` is its HTTP, `connect` its /ws.

Delays use `asyncio.sleep`, chance the given `random.Random` and the date the given clock, so that the same model
runs in real time and in the virtual time of a simulation.
"""

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from random import Random
from typing import Any, NamedTuple, Protocol

from statemachine.simulator.dialects import Feature
from statemachine.simulator.http import Request, Response
from statemachine.simulator.nodes import CACHE_KEYS, PLUGIN_CLASSES, cache_workflow, users_job
from statemachine.simulator.process import Process
from statemachine.simulator.profiles import Profile
from statemachine.simulator.prompt_queue import Item

LOG_LIMIT = 1_000


class Sink(Protocol):
    """The client's end of one /ws connection."""

    def send(self, text: str) -> None: ...

    def close(self) -> None: ...


class ReceivedPost(NamedTuple):
    """One POST /prompt: the accepted prompt_id, the status of the response, and the JSON body, if any."""

    prompt_id: str | None
    status: int
    body: Any


class Listener(Protocol):
    """The address at which a server listens. `close` also drops the open connections."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...


Respond = Callable[["ServerModel", Request], Response]
Behaviours = Callable[["ServerModel"], Iterable[Coroutine[Any, Any, None]]]


class ServerModel:
    """A server of one profile whose routes and behaviours are injected."""

    log: deque[ReceivedPost]
    """Each POST /prompt, newest last, across restarts."""
    died: asyncio.Event
    """Set when the process has ended by itself."""
    unrestored: list[Item]
    """Prompts of the last process that a plug-in has saved and not yet queued again."""
    process: Process
    """The current process; a restart creates a new one."""
    losses = 0
    """Number of times that keys were dropped or models moved out of memory."""
    ram_free = 96 * 2**30
    """Bytes of the host's memory that are free, of 128 GiB."""
    own_workflows = 0
    """Number of times that the server started its own cache workflow."""
    listener: Listener | None = None
    up = False
    _worker: asyncio.Task[None] | None = None
    _restoring: asyncio.Task[None] | None = None

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        respond: Respond,
        behaviours: Behaviours,
        *,
        scale: float = 1.0,
        clock: Callable[[], float] = time.time,
        ids: Random | None = None,
    ) -> None:
        """Create a stopped server.

        `ids` draws the ids of processes, prompts and sockets; without it `rng` does, repeatably.
        `respond` handles each HTTP request. `behaviours` returns the coroutines that run from `start` to `stop`.
        `scale` multiplies every duration of the profile.
        """
        self.profile = profile
        self.rng = rng
        self._ids = ids or rng
        self.scale = scale
        self.log = deque(maxlen=LOG_LIMIT)
        self.died = asyncio.Event()
        self.sockets: dict[str, Sink] = {}
        self._open: set[Sink] = set()
        self._clock = clock
        self._respond = respond
        self._behaviours = behaviours
        self._behaviour_tasks: list[asyncio.Task[None]] = []
        self.unrestored = []
        self.process = self._new_process()
        if profile.loaded:
            self.process.load_everything()

    @property
    def keys(self) -> dict[str, str]:
        """The cached keys and their tags."""
        return self.process.keys

    # Start and stop

    async def start(self) -> None:
        """Start the process and the behaviours."""
        if self.profile.listening:
            await self.come_back()
        self._behaviour_tasks = [asyncio.create_task(behaviour) for behaviour in self._behaviours(self)]

    async def stop(self) -> None:
        """Stop the behaviours and the process."""
        for task in self._behaviour_tasks:
            task.cancel()
        await asyncio.gather(*self._behaviour_tasks, return_exceptions=True)
        await self.go_down()

    async def go_down(self) -> None:
        """End the process: its queue, history, next number, keys and connections are lost."""
        self.up = False
        for task in (self._worker, self._restoring):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._save_queue()
        for sink in list(self._open):
            sink.close()
        self.sockets.clear()
        self._open.clear()
        self.process = self._new_process()
        if self.listener:
            await self.listener.close()

    async def come_back(self) -> None:
        """Listen again at the same address, as a new process. Does nothing if the server is up."""
        if self.up:
            return
        if self.listener:
            await self.listener.open()
        self.up = True
        self._worker = asyncio.create_task(self.process.work())
        self._restoring = asyncio.create_task(self._restore_queue())

    def _save_queue(self) -> None:
        queue = self.process.queue
        if self.profile.restore_after is not None:
            self.unrestored += [*([queue.running] if queue.running else []), *sorted(queue.pending)]

    async def _restore_queue(self) -> None:
        await asyncio.sleep((self.profile.restore_after or 0.0) * self.scale)
        items, self.unrestored = self.unrestored, []
        for item in items:
            extra = self.process.stamped(item.extra_data)
            self.process.queue.put(replace(item, number=self.process.take_number(), extra_data=extra))

    def install(self, version: str) -> None:
        """Install another version of ComfyUI, which the next process runs."""
        self.profile = replace(self.profile, comfyui=version)

    async def restart(self) -> None:
        await self.go_down()
        await self.come_back()

    def lose_plugins(self) -> None:
        """Remove all plug-ins, which the next process notices."""
        self.profile = replace(
            self.profile, companion=False, inspire=False, text_check="absent", missing_classes=PLUGIN_CLASSES
        )

    def lose_worker(self) -> None:
        """End the prompt worker, as a node does that ends its thread: the running prompt stays where it is."""
        self.process.worker_alive = False
        if self._worker is not None:
            self._worker.cancel()

    def stall(self) -> None:
        """Stop the prompt worker; HTTP and sockets keep working."""
        self.process.executor.may_run.clear()

    def resume(self) -> None:
        self.process.executor.may_run.set()

    def interrupt(self) -> None:
        """Interrupt the running prompt at the next step of its node."""
        self.process.executor.interrupting = True

    def drop_keys(self, *, keep_executor: bool) -> None:
        """Drop every cached key. With `keep_executor` the nodes stay cached: the trap in docs/comfyui.md."""
        self.losses += 1
        self.process.drop_keys(keep_executor=keep_executor)

    def unload_models(self, level: str = "key") -> None:
        """Move the models of comfywarm's node out of memory, down to `level`; the keys stay."""
        self.losses += 1
        if self.process.companion:
            self.process.companion.unload(level)

    def reload_models(self) -> None:
        """Move the models of comfywarm's node back into memory, as a job that uses them does."""
        if self.process.companion:
            self.process.companion.reload()

    def start_foreign_job(self, seconds: float) -> str:
        """Queue a user's prompt from a client without a socket; return its prompt_id."""
        name = f"user-{self.process.number}"
        return self.process.enqueue(users_job(name, seconds), self.new_prompt_id(), {"client_id": name})

    def start_own_workflow(self) -> str:
        """Queue the cache workflow as the plug-in does, without a client_id; return the prompt_id."""
        self.own_workflows += 1
        return self.process.enqueue(cache_workflow(), self.new_prompt_id(), {})

    # HTTP and /ws

    async def handle(self, request: Request) -> Response:
        """Respond to one request. Raises ConnectionError while the server is down."""
        self._refuse_if_down()
        await asyncio.sleep(self.profile.http_delay * self.scale)
        self._refuse_if_down()
        return self._respond(self, request)

    def connect(self, client_id: str, sink: Sink) -> str:
        """Open /ws?clientId=…; return the sid. An older socket of the same id stays open without frames."""
        self._refuse_if_down()
        sid = client_id or uuid.UUID(int=self._ids.getrandbits(128)).hex
        self._open.add(sink)
        self.sockets[sid] = sink
        self.send("status", {**self.process.status(), "sid": sid}, sid)
        run = self.process.executor.current_run
        if run and run.client_id == sid and run.node_id:
            self.send("executing", {"node": run.node_id}, sid)
        return sid

    def disconnect(self, sid: str, sink: Sink) -> None:
        """Close a socket. ComfyUI forgets the id even if a newer socket has it [transcript 08]."""
        self._open.discard(sink)
        self.sockets.pop(sid, None)

    def receive(self, sid: str, text: str) -> None:
        """Process a message from a client; only `feature_flags` gets a response."""
        if '"feature_flags"' in text and self.process.dialect.has(Feature.FEATURES):
            self.send("feature_flags", self.process.dialect.features, sid)

    def send(self, event: str, data: dict[str, Any], client_id: str | None = None) -> None:
        """Send a frame to the owner of `client_id` if it is connected; to all clients for None."""
        owners = self.sockets if client_id is None else self.sockets.keys() & {client_id}
        text = json.dumps({"type": event, "data": data}) if owners else ""
        for sid in owners:
            self.sockets[sid].send(text)

    # Used by the routes

    def new_prompt_id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    def missing_keys(self) -> list[str]:
        """Return the missing keys of the cache workflow."""
        return [key for key in CACHE_KEYS if key not in self.keys]

    def record_post(self, prompt_id: str | None, status: int, body: Any) -> None:
        """Add a POST /prompt to the log; subclasses in tests count warm-ups here."""
        self.log.append(ReceivedPost(prompt_id, status, body))

    def _new_process(self) -> Process:
        instance = uuid.UUID(int=self._ids.getrandbits(128), version=4).hex if self.profile.companion else None
        return Process(self.profile, self.scale, self.send, self._clock, self.died.set, instance)

    def _refuse_if_down(self) -> None:
        if not self.up:
            raise ConnectionRefusedError("the simulated server is down")
