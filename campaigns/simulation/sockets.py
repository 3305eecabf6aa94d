"""One simulated /ws connection with late, lost, repeated and foreign frames and broken ends."""

import asyncio
from collections import deque

from campaigns.simulation.faults import Fault
from campaigns.simulation.wire import Daemon, Wire
from statemachine.comfyui.errors import ConnectRefusedError, NotAnsweringError
from statemachine.comfyui.transport import Receive, Report, no_report

SILENCE_S = (30.0, 150.0)
"""Range of the time after which keepalive pings detect a dead connection."""


class Pipe:
    """The server's end of one /ws connection."""

    def __init__(self, wire: Wire, client_id: str) -> None:
        self.wire, self.client_id = wire, client_id
        self.waiting: deque[tuple[float, str | bytes | None]] = deque()
        """(arrival time, frame) pairs; the frame None ends the connection."""
        self.wake: asyncio.Future[None] | None = None
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._last = 0.0
        self._silent = False

    def open(self) -> None:
        """Connect to the server. Raises ConnectRefusedError while it does not listen."""
        try:
            self.wire.server.connect(self.client_id, self)
        except ConnectionRefusedError as error:
            self.wire.faults.counts[Fault.REFUSED] += 1
            raise ConnectRefusedError("connection refused") from error
        self.wire.add(self)

    def send(self, text: str) -> None:
        """Send a frame from the server."""
        wire = self.wire
        if self._silent or self.ended:
            return
        fault = wire.frames.roll()
        if fault is Fault.FRAME_LOST:
            return
        self._push(text, 8.0 * wire.rng.random() if fault is Fault.FRAME_LATE else 0.0)
        if fault is Fault.FRAME_TWICE:
            self._push(text, 0.0)
        elif fault is Fault.FRAME_FOREIGN:
            self._push(wire.rng.choice(FOREIGN_FRAMES), 0.0)
        elif fault is Fault.SOCKET_CLOSED:
            self.break_connection()
        elif fault is Fault.SOCKET_SILENT:
            self.go_silent()

    def close(self) -> None:
        """Close the connection from the server's end."""
        if not self.ended:
            self.ended = True
            self._push(None, 0.0)

    def break_connection(self) -> None:
        """Break the connection at both ends."""
        self._loop.call_soon(self.wire.server.disconnect, self.client_id, self)
        self.close()

    def go_silent(self) -> None:
        """Drop all further frames; the keepalive breaks the connection after a while."""
        if not self._silent:
            self._silent = True
            self._loop.call_later(self.wire.rng.uniform(*SILENCE_S), self.break_connection)

    def _push(self, frame: str | bytes | None, more_delay: float) -> None:
        self._last = max(self._last, self._loop.time() + self.wire.delay() + more_delay)
        self.waiting.append((self._last, frame))
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)


class SimSocket:
    """The daemon's end of a /ws connection."""

    def __init__(self, pipe: Pipe, daemon: Daemon) -> None:
        self._pipe, self._daemon = pipe, daemon

    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        pipe, watcher = self._pipe, self._pipe.wire.watcher
        while True:
            frame = await self._next()
            if self._daemon.dead:
                raise asyncio.CancelledError
            if frame is None:
                watcher.link_ended(pipe.wire.name, pipe.client_id)
                raise NotAnsweringError("the connection was closed")
            watcher.frame_delivered(pipe.wire.name, pipe.client_id, frame)
            if isinstance(frame, str):
                receive(frame)

    def hide(self, text: str) -> str:
        """Return the text: simulated servers are sent no secrets."""
        return text

    async def _next(self) -> str | bytes | None:
        pipe, loop = self._pipe, asyncio.get_running_loop()
        while not pipe.waiting:
            pipe.wake = loop.create_future()
            await pipe.wake
        at, frame = pipe.waiting[0]
        if at > loop.time():
            await asyncio.sleep(at - loop.time())
        pipe.waiting.popleft()
        return frame

    async def close(self) -> None:
        """Close the connection from the daemon's end, as the end of its process does."""
        self._pipe.ended = True
        self._pipe.wire.server.disconnect(self._pipe.client_id, self._pipe)


OTHER_PROMPT_ID = "00000000-0000-4000-8000-00000000beef"
FOREIGN_FRAMES: tuple[str | bytes, ...] = (
    b"\x00\x00\x00\x01\xff\xd8preview",
    "not json",
    "[]",
    "{}",
    '{"type": "status"}',
    '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": "many"}}}}',
    '{"type": "progress_state", "data": {"nodes": 3}}',
    '{"type": "crystools.monitor", "data": {"cpu_utilization": 3.0}}',
    '{"type": "executing", "data": {"node": null, "prompt_id": "' + OTHER_PROMPT_ID + '"}}',
    '{"type": "executing", "data": {"node": null}}',
    '{"type": "execution_success", "data": {"prompt_id": "' + OTHER_PROMPT_ID + '", "timestamp": 1}}',
    '{"type": "execution_success", "data": {"timestamp": 1}}',
    '{"type": "execution_interrupted", "data": {"prompt_id": "' + OTHER_PROMPT_ID + '", "executed": []}}',
    '{"type": "execution_error", "data": {"prompt_id": "' + OTHER_PROMPT_ID + '", "exception_message": "x"}}',
)
