"""Parts that are wrong in one way each, to be handed to a daemon (see planted_faults.py)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from campaigns.simulation.daemon import Parts
from campaigns.simulation.network import SimTransport
from campaigns.simulation.sockets import SimSocket
from statemachine.comfyui.checks import CacheCheck, CheckResult
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.records import HistoryEntry, Marker
from statemachine.comfyui.transport import Reply
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.backoff import Uniform, backoff
from statemachine.core.messages import verbatim
from statemachine.core.server import Server
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Source
from statemachine.fleet.context import ServerContext
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.runner import ServerTask
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from statemachine.settings import ServerConfig, Settings

Answer = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered


def with_desks(change: Callable[[ServerContext], None]) -> Parts:
    """A fleet each of whose desks is changed before it starts."""

    class Changed(Fleet):
        @override
        def _new_task(self, config: ServerConfig, server: Server) -> ServerTask:
            runner = super()._new_task(config, server)
            change(runner.context)
            return runner

    return Parts(fleet=Changed)


def with_client(client: type[ComfyClient]) -> Parts:
    """Desks whose duties have another client (the check keeps the right one)."""

    def change(desk: ServerContext) -> None:
        desk.client = client(desk.transport)

    return with_desks(change)


def with_check(faulty: Callable[[ServerContext, CheckResult], CheckResult]) -> Parts:
    """Desks whose check says something else than the right one."""

    class WrongCheck(CacheCheck):
        desk: ServerContext
        right: CacheCheck

        @override
        async def ask(self, epoch: int) -> CheckResult:
            return faulty(self.desk, await self.right.ask(epoch))

    def change(desk: ServerContext) -> None:
        check = WrongCheck(desk.client, (), "/", [])
        check.desk, check.right, desk.check = desk, desk.check, check

    return with_desks(change)


def with_mailbox(through: Callable[[ServerContext, events.Event], Sequence[events.Event]]) -> Parts:
    """Desks whose reports are changed before they reach the machine."""

    def change(desk: ServerContext) -> None:
        deliver = desk.post

        def post(event: events.Event) -> None:
            for one in through(desk, event):
                deliver(one)

        desk.post = post

    return with_desks(change)


# Wrong transports


class SameClientId(SimTransport):
    """Every connection uses one client id."""

    @override
    async def connect(self, client_id: str) -> SimSocket:
        return await super().connect("comfywarm")


class WrongRoute(SimTransport):
    """The workflow goes to the route of the queue."""

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        return await super().request(method, "/queue" if method == "POST" else path, body, accept)


class ChecksAtRandom(SimTransport):
    """While a queue is looked at, the check is asked as well."""

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        if path == "/prompt" and method == "GET":
            await super().request("GET", "/cache/check")
        return await super().request(method, path, body, accept)


# Wrong clients


class Resending(ComfyClient):
    """A POST without an answer is simply sent again."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, *, front: bool) -> Answer:
        try:
            return await super().submit(graph, marker, client_id, front=front)
        except NotAnsweringError:
            return await super().submit(graph, marker, client_id, front=front)


class Credulous(ComfyClient):
    """Whatever the server answers to a POST, it is taken as accepted."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, *, front: bool) -> Answer:
        answer = await super().submit(graph, marker, client_id, front=front)
        if isinstance(answer, events.SubmissionUnanswered):
            return events.PromptAccepted(marker.attempt, marker.attempt, Source.REPLY)
        return answer


class Ruthless(ComfyClient):
    """Makes room by interrupting whatever runs."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, *, front: bool) -> Answer:
        await self._transport.request("POST", "/interrupt", b"{}")
        return await super().submit(graph, marker, client_id, front=front)


class NoInterrupts(ComfyClient):
    """An entry of history that reads "error" is a failure, also where somebody interrupted the prompt."""

    @override
    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        entry = await super().history_entry(prompt_id)
        if entry is None or not isinstance(entry.end, events.PromptInterrupted):
            return entry
        end = events.PromptFailed(prompt_id, Source.HISTORY, verbatim("the status says error"), out_of_memory=False)
        return replace(entry, end=end)


class EmptyQueues(ComfyClient):
    """Every queue seems empty."""

    @override
    async def queue_remaining(self) -> int:
        await super().queue_remaining()
        return 0


# Wrong journals and permits


class WritesLater(Journal[ServerView]):
    """The attempt is written after its POST."""

    @override
    async def append_durably(self, attempt: Attempt) -> None:
        asyncio.get_running_loop().call_later(0.5, self.append, None, attempt)


class Forgetful(Journal[ServerView]):
    """What was in flight before a crash is forgotten."""

    @override
    async def with_store(self, call: Callable[[JournalStore], Any]) -> Any:
        return [] if call is JournalStore.open_attempts else await super().with_store(call)


class Leaking(Permits):
    """A permit is never given back."""

    @override
    def release(self, server: str) -> None:
        pass


class Generous(Permits):
    """Whoever asks gets a permit."""

    @override
    async def acquire(self, server: str, host: str) -> None:
        pass


# Wrong reports and answers


def believes_success(desk: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """The end of our prompt is taken for a check's answer."""
    if isinstance(event, events.PromptSucceeded):
        return event, events.CheckAnswered("text", (), (), auto_executing=False, epoch=desk.server.epoch + 1)
    return (event,)


def without(*kinds: type) -> Callable[[ServerContext, events.Event], Sequence[events.Event]]:
    """Reports of these kinds are lost."""
    return lambda _, event: () if isinstance(event, kinds) else (event,)


def takes_all_for_its_own(desk: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """A foreign prompt's success counts as ours."""
    attempt = desk.server.open_attempt
    if isinstance(event, events.PromptSucceeded) and attempt is not None:
        return (replace(event, prompt_id=attempt.prompt_id),)
    return (event,)


def ignores_epoch(desk: ServerContext, result: CheckResult) -> CheckResult:
    """An answer counts, however old its question is."""
    if isinstance(result.event, events.CheckAnswered):
        return replace(result, event=replace(result.event, epoch=desk.server.epoch))
    return result


def cold_when_unsure(desk: ServerContext, result: CheckResult) -> CheckResult:
    """What is not understood is cold."""
    if isinstance(result.event, events.CheckUnusable):
        needed = tuple(desk.workflows)
        return replace(result, event=events.CheckAnswered("text", ("?",), needed, False, desk.server.epoch))
    return result


def always_cached(desk: ServerContext, result: CheckResult) -> CheckResult:
    """Every server seems loaded."""
    return replace(result, event=events.CheckAnswered("text", (), (), False, desk.server.epoch))


def impatient(settings: Settings) -> Settings:
    """Absent is lost, at once."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"lost_grace_s": 0.0})})


def inconsiderate(settings: Settings) -> Settings:
    """Users are not waited for."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"busy_wait_s": 0.0})})


# Wrong tables and functions


def no_backoff(tries: int, base_s: float, limit_s: float, uniform: Uniform) -> float:
    """Every try counts as the first."""
    return backoff(min(tries, 1), base_s, limit_s, uniform)


async def never_found(*_: object) -> None:
    """Nothing is looked up: the prompt is absent."""
