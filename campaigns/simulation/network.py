"""The network between one daemon and one simulated server: a `Transport` with faults.

A request that was sent stays in transit when the daemon crashes.
"""

import asyncio
from urllib.parse import parse_qsl, unquote

from multidict import MultiDict

from campaigns.simulation.faults import Fault
from campaigns.simulation.sockets import Pipe, SimSocket
from campaigns.simulation.wire import Daemon, Wire, prompt_of
from statemachine.comfyui.errors import ConnectRefusedError, NotAnsweringError
from statemachine.comfyui.transport import Reply
from statemachine.simulator.http import Request

LATE_S = 12.0
"""Longest time that the network holds a POST. `lost_grace_s` must be longer."""

LOST_BEFORE = {Fault.REQUEST_LOST, Fault.RESET_BEFORE, Fault.GATEWAY_BEFORE}
HTML = b"<!DOCTYPE html><html><head><title>Portal</title></head><body>Please wait</body></html>"
LIMITED_SHARE = 0.2
"""The share of the errors of proxies that are a 429."""


class SimTransport:
    """One daemon's `Transport` to one server."""

    def __init__(self, wire: Wire, daemon: Daemon) -> None:
        self._wire = wire
        self._daemon = daemon

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        wire = self._wire
        self._stop_if_dead()
        ticket = wire.watcher.request_left(wire.name, method, path, body)
        try:
            is_get = method == "GET"
            reply, genuine = await (self._get(path, accept) if is_get else self._post(method, path, body or b""))
        except NotAnsweringError:
            self._stop_if_dead()
            wire.watcher.request_failed(wire.name, path)
            raise
        self._stop_if_dead()
        wire.watcher.reply_delivered(wire.name, path, reply, genuine=genuine, ticket=ticket)
        return reply

    async def _get(self, path: str, accept: str | None) -> tuple[Reply, bool]:
        wire = self._wire
        await _fail_in_outage(wire)
        fault = wire.requests.roll()
        await asyncio.sleep(wire.delay())
        if fault in LOST_BEFORE:
            return await _fail(wire, fault)
        reply = await _served(wire, "GET", path, b"", accept)
        await asyncio.sleep(wire.delay())
        return await _returned(wire, path, reply, fault)

    async def _post(self, method: str, path: str, body: bytes) -> tuple[Reply, bool]:
        wire = self._wire
        await _fail_in_outage(wire)
        answer: asyncio.Future[tuple[Reply, bool]] = asyncio.get_running_loop().create_future()
        flight = _Flight(wire, method, path, body)
        wire.spawn(flight.deliver(answer))
        try:
            async with asyncio.timeout(wire.timeout_s):
                return await answer
        except TimeoutError as error:
            raise NotAnsweringError(f"no answer within {wire.timeout_s:g} s") from error

    async def connect(self, client_id: str) -> "SimSocket":
        wire = self._wire
        self._stop_if_dead()
        wire.watcher.dialled(wire.name, client_id)
        await _fail_in_outage(wire)
        fault = wire.dials.roll()
        await asyncio.sleep(wire.delay())
        if fault is Fault.DIAL_LOST:
            await asyncio.sleep(wire.timeout_s)
            raise NotAnsweringError("timed out during the opening handshake")
        self._stop_if_dead()
        pipe = Pipe(wire, client_id)
        if fault is not Fault.SOCKET_MUTE:
            pipe.open()
        if fault is Fault.ACCEPT_AND_CLOSE:
            pipe.break_connection()
        return SimSocket(pipe, self._daemon)

    def _stop_if_dead(self) -> None:
        if self._daemon.dead:
            raise asyncio.CancelledError


class _Flight:
    """One POST in transit, independent of its sender."""

    def __init__(self, wire: Wire, method: str, path: str, body: bytes) -> None:
        self._wire, self._method, self._path, self._body = wire, method, path, body
        self.prompt_id, workflow = prompt_of(body)
        self._fault = wire.posts.roll()
        wire.in_transit[self.prompt_id] = workflow

    async def deliver(self, answer: "asyncio.Future[tuple[Reply, bool]]") -> None:
        """Deliver the POST unless a fault prevents it; set the reply if the sender still waits."""
        try:
            result = await self._exchange(answer)
        except NotAnsweringError as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)

    async def _exchange(self, answer: "asyncio.Future[tuple[Reply, bool]]") -> tuple[Reply, bool]:
        wire, fault = self._wire, self._fault
        try:
            if fault is Fault.LATE_POST:
                await self._linger(answer)
            await asyncio.sleep(wire.delay())
            if fault in LOST_BEFORE:
                return await _fail(wire, fault)
            reply = await _served(wire, self._method, self._path, self._body)
        finally:
            wire.in_transit.pop(self.prompt_id, None)
        wire.watcher.post_processed(wire.name, self.prompt_id, reply.status)
        await asyncio.sleep(wire.delay())
        return await _returned(wire, self._path, reply, fault)

    async def _linger(self, answer: "asyncio.Future[tuple[Reply, bool]]") -> None:
        """Hold the request as a proxy does; reset the sender's connection in half of the cases."""
        if self._wire.rng.random() < 0.5 and not answer.done():
            answer.set_exception(NotAnsweringError("connection reset by peer"))
        await asyncio.sleep(LATE_S * self._wire.rng.random())


async def _fail_in_outage(wire: Wire) -> None:
    if wire.outage:
        wire.faults.counts[Fault.UNREACHED] += 1
        await asyncio.sleep(wire.timeout_s)
        raise NotAnsweringError(f"no answer within {wire.timeout_s:g} s")


async def _fail(wire: Wire, fault: Fault | None) -> tuple[Reply, bool]:
    """Return or raise what the sender of a lost request sees."""
    if fault is Fault.GATEWAY_BEFORE:
        return _from_gateway(wire, 502, 521, 530), False
    if fault is Fault.RESET_BEFORE:
        raise NotAnsweringError("connection reset by peer")
    await asyncio.sleep(wire.timeout_s)
    raise NotAnsweringError(f"no answer within {wire.timeout_s:g} s")


async def _served(wire: Wire, method: str, path: str, body: bytes, accept: str | None = None) -> Reply:
    route, _, query = path.partition("?")
    headers = {} if accept is None else {"Accept": accept}
    request = Request(method, unquote(route), MultiDict(parse_qsl(query)), body, headers)
    try:
        answer = await wire.server.handle(request)
    except ConnectionRefusedError as error:
        wire.faults.counts[Fault.REFUSED] += 1
        raise ConnectRefusedError("connection refused") from error
    return Reply(answer.status, answer.body)


async def _returned(wire: Wire, path: str, reply: Reply, fault: Fault | None) -> tuple[Reply, bool]:
    """Return the reply as the sender receives it, and whether it is unchanged."""
    if fault is Fault.RESET_AFTER:
        raise NotAnsweringError("connection reset by peer")
    if fault in (Fault.ANSWER_LOST, Fault.ANSWER_SLOW):
        await asyncio.sleep(wire.timeout_s if fault is Fault.ANSWER_LOST else wire.timeout_s * 0.95)
        if fault is Fault.ANSWER_LOST:
            raise NotAnsweringError(f"no answer within {wire.timeout_s:g} s")
    if fault is Fault.GATEWAY_AFTER:
        return _from_gateway(wire, 504, 524), False
    if fault is Fault.GARBAGE:
        return _garbage(wire, path), False
    if fault is Fault.TRUNCATED and reply.body[:1] in (b"{", b"[") and len(reply.body) > 2:
        return Reply(reply.status, reply.body[: wire.rng.randrange(1, len(reply.body) - 1)]), False
    return reply, True


def _from_gateway(wire: Wire, *statuses: int) -> Reply:
    """Return the error of a proxy or tunnel, or sometimes of its rate limit."""
    if wire.rng.random() < LIMITED_SHARE:
        return Reply(429, b"slow down", retry_after_s=float(wire.rng.randrange(1, 60)))
    return Reply(wire.rng.choice(statuses), b"<html>the server does not answer</html>")


def _garbage(wire: Wire, path: str) -> Reply:
    """Return a body that ComfyUI never sends on that route.

    Plain texts are replaced, not truncated: a truncated list of keys looks like a shorter list.
    """
    empty_objects = [b"{}", b'{"exec_info": {}}'] if path in ("/prompt", "/queue", "/system_stats") else []
    bodies = [HTML, b"", b"null", b"[]", b"\x00\xff\xfe", b'"ok"', b"upstream busy", *empty_objects]
    return Reply(500 if wire.rng.random() < 0.2 else 200, wire.rng.choice(bodies))
