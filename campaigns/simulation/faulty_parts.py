"""Parts of a daemon with one fault each (see planted_faults.py)."""

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
from statemachine.comfyui.records import HistoryEntry, Marker, QueueListing
from statemachine.comfyui.transport import Reply
from statemachine.core import events
from statemachine.core.backoff import Uniform, backoff
from statemachine.core.contention import NO_CONTENTION
from statemachine.core.messages import verbatim
from statemachine.core.server import Attempt, Server, ServerView
from statemachine.core.streak import NO_STREAK
from statemachine.core.vocabulary import Source
from statemachine.fleet.context import ServerContext
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.runner import ServerTask
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from statemachine.settings import ServerConfig, Settings

Outcome = events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered


def with_contexts(change: Callable[[ServerContext], None]) -> Parts:
    """Return parts whose fleet changes the context of each server before its task starts."""

    class Changed(Fleet):
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
    async def with_store(self, call: Callable[[JournalStore], Any]) -> Any:
        return [] if call is JournalStore.open_attempts else await super().with_store(call)


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


# Events, check results and settings


def trusts_success(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Treat the success of a prompt as a check that found everything cached."""
    if isinstance(event, events.PromptSucceeded):
        return event, events.CheckAnswered("text", (), (), auto_executing=False, epoch=context.server.epoch + 1)
    return (event,)


def without(*kinds: type) -> Callable[[ServerContext, events.Event], Sequence[events.Event]]:
    """Drop events of these kinds."""
    return lambda _, event: () if isinstance(event, kinds) else (event,)


def forgets_failures(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Forget the failures in a row when the server restarts."""
    if isinstance(event, events.LinkOpened) and event.refused_before:
        context.server.streak = NO_STREAK
    return (event,)


def forgets_losses(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Forget that models did not stay loaded."""
    context.server.contention = NO_CONTENTION
    return (event,)


def sees_no_foreign_work(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Hold a missing key against the warm-up, even if foreign work has run since."""
    if isinstance(event, events.CheckAnswered):
        context.server.foreign_work_ended, context.server.queue_remaining = False, None
        return (replace(event, evicted=False),)
    return (event,)


def claims_foreign_success(context: ServerContext, event: events.Event) -> Sequence[events.Event]:
    """Treat the success of a foreign prompt as that of the open attempt."""
    attempt = context.server.open_attempt
    if isinstance(event, events.PromptSucceeded) and attempt is not None:
        return (replace(event, prompt_id=attempt.prompt_id),)
    return (event,)


def ignores_epoch(context: ServerContext, result: CheckResult) -> CheckResult:
    """Accept results of checks that started before the last change."""
    if isinstance(result.event, events.CheckAnswered):
        return replace(result, event=replace(result.event, epoch=context.server.epoch))
    return result


def unusable_is_cold(context: ServerContext, result: CheckResult) -> CheckResult:
    """Treat an unusable check result as cold."""
    if isinstance(result.event, events.CheckUnusable):
        needed = tuple(context.workflows)
        return replace(result, event=events.CheckAnswered("text", ("?",), needed, False, context.server.epoch))
    return result


def always_cached(context: ServerContext, result: CheckResult) -> CheckResult:
    """Report every server as loaded."""
    return replace(result, event=events.CheckAnswered("text", (), (), False, context.server.epoch))


def no_lost_grace(settings: Settings) -> Settings:
    """Treat an absent prompt as lost immediately."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"lost_grace_s": 0.0})})


def no_busy_wait(settings: Settings) -> Settings:
    """Do not wait for a busy queue to drain."""
    return settings.model_copy(update={"timing": settings.timing.model_copy(update={"busy_wait_s": 0.0})})


# Functions


def no_backoff(tries: int, base_s: float, limit_s: float, uniform: Uniform) -> float:
    """Use the first delay for every try."""
    return backoff(min(tries, 1), base_s, limit_s, uniform)


async def never_found(*_: object, **_options: object) -> None:
    """Report the prompt as absent without a request."""


async def does_not_wait(_context: ServerContext) -> None:
    """Ask the check at once."""
