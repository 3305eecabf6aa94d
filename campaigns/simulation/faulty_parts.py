"""Parts of a daemon with one fault each (see planted_faults.py)."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from campaigns.simulation.daemon import Parts
from campaigns.simulation.network import SimTransport
from campaigns.simulation.sockets import SimSocket
from statemachine.comfyui.checks import CacheCheck, CheckResult
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.records import HistoryEntry, Marker, QueueListing
from statemachine.comfyui.transport import Reply
from statemachine.core import events
from statemachine.core.messages import verbatim
from statemachine.core.repetition import NO_STREAK
from statemachine.core.server import Attempt, Server, ServerView
from statemachine.core.vocabulary import Source
from statemachine.fleet.context import ServerContext
from statemachine.fleet.fleet import ManagedFleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.runner import ServerTask
from statemachine.journal.journal import Journal
from statemachine.journal.port import SavedState
from statemachine.settings import ServerConfig

Outcome = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered


def with_contexts(change: Callable[[ServerContext], None]) -> Parts:
    """Return parts whose fleet changes the context of each server before its task starts."""

    class Changed(ManagedFleet):
        @override
        def _new_task(self, config: ServerConfig, server: Server) -> ServerTask:
            task = super()._new_task(config, server)
            change(task.context)
            return task

    return Parts(fleet=Changed)


def with_client(client: type[ComfyClient]) -> Parts:
    """Return parts with this client; the cache check keeps the real one."""

    def change(context: ServerContext) -> None:
        context.client = client(context.transport)

    return with_contexts(change)


def with_check(faulty: Callable[[ServerContext, CheckResult], CheckResult]) -> Parts:
    """Return parts whose cache check replaces each result."""

    class FaultyCheck(CacheCheck):
        context: ServerContext
        real: CacheCheck

        @override
        async def ask(self, epoch: int) -> CheckResult:
            return faulty(self.context, await self.real.ask(epoch))

    def change(context: ServerContext) -> None:
        check = FaultyCheck(context.client, (), "/", [])
        check.context, check.real, context.check = context, context.check, check

    return with_contexts(change)


def with_mailbox(through: Callable[[ServerContext, events.Event], Sequence[events.Event]]) -> Parts:
    """Return parts whose events are replaced before they reach the machine."""

    def change(context: ServerContext) -> None:
        deliver = context.post

        def post(event: events.Event) -> None:
            for one in through(context, event):
                deliver(one)

        context.post = post

    return with_contexts(change)


# Transports


class SameClientId(SimTransport):
    """Use the same client id for every connection."""

    @override
    async def connect(self, client_id: str) -> SimSocket:
        return await super().connect("comfywarm")


class WrongRoute(SimTransport):
    """Post the workflow to /queue."""

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        return await super().request(method, "/queue" if method == "POST" else path, body, accept)


class ChecksAtRandom(SimTransport):
    """Request the check with each look at the queue."""

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        if path == "/prompt" and method == "GET":
            await super().request("GET", "/cache/check")
        return await super().request(method, path, body, accept)


# Clients


class ResendsUnanswered(ComfyClient):
    """Send a POST without a reply again."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, **options: Any) -> Outcome:
        try:
            return await super().submit(graph, marker, client_id, **options)
        except NotAnsweringError:
            return await super().submit(graph, marker, client_id, **options)


class AcceptsAnyReply(ComfyClient):
    """Accept any reply to a POST."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, **options: Any) -> Outcome:
        outcome = await super().submit(graph, marker, client_id, **options)
        if isinstance(outcome, events.SubmissionUnanswered):
            return events.PromptAccepted(marker.attempt, marker.attempt, Source.REPLY)
        return outcome


class InterruptsUsers(ComfyClient):
    """Interrupt the running prompt before each submission."""

    @override
    async def submit(self, graph: Mapping[str, Any], marker: Marker, client_id: str | None, **options: Any) -> Outcome:
        await self._transport.request("POST", "/interrupt", b"{}")
        return await super().submit(graph, marker, client_id, **options)


class ReportsInterruptAsFailure(ComfyClient):
    """Report an interrupted prompt as failed because its status in history is "error"."""

    @override
    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        entry = await super().history_entry(prompt_id)
        if entry is None or not isinstance(entry.end, events.PromptInterrupted):
            return entry
        end = events.PromptFailed(prompt_id, Source.HISTORY, verbatim("the status says error"), out_of_memory=False)
        return replace(entry, end=end)


class EmptyQueues(ComfyClient):
    """Report every queue as empty."""

    @override
    async def queue_remaining(self) -> int:
        await super().queue_remaining()
        return 0


class TrustsEveryList(ComfyClient):
    """Take each list of the queue for complete."""

    @override
    async def queue(self) -> QueueListing:
        return replace(await super().queue(), counted=0, unreadable=0)


# Journals and permits


class WritesLater(Journal[ServerView]):
    """Write the attempt after its POST."""

    @override
    async def append_durably(self, attempt: Attempt) -> None:
        asyncio.get_running_loop().call_later(0.5, self.append, None, attempt)


class LosesOpenAttempts(Journal[ServerView]):
    """Lose the open attempts at a restart."""

    @override
    async def saved_states(self, servers: Collection[str]) -> dict[str, SavedState]:
        states = await super().saved_states(servers)
        return {name: replace(state, attempt=None) for name, state in states.items()}


class ForgetsFailures(Journal[ServerView]):
    """Forget the failures in a row at a restart."""

    @override
    async def saved_states(self, servers: Collection[str]) -> dict[str, SavedState]:
        states = await super().saved_states(servers)
        return {name: replace(state, streak=NO_STREAK) for name, state in states.items()}


class LeaksPermits(Permits):
    """Never release a permit."""

    @override
    def release(self, server: str) -> None:
        pass


class IgnoresBudget(Permits):
    """Grant every permit at once."""

    @override
    async def acquire(self, server: str, host: str, group: str = "") -> None:
        pass
