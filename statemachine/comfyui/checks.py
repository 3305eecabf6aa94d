"""The cache checks: three ways of asking a server what it holds, and `auto`, the first of them that it offers.

A check returns one of the core's events and the raw text of the answer. It raises NotAnsweringError where none came.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from statemachine.comfyui.check_texts import parse_inspire_list, parse_text
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import (
    RAW_LIMIT,
    AbsentError,
    AccessDeniedError,
    ComfyError,
    NotAnsweringError,
    NotUnderstoodError,
)
from statemachine.comfyui.records import HistoryEntry
from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.vocabulary import Reason

INSPIRE_LIST = "/inspire/cache/list"
AUTO_ORDER = ("text", "inspire", "history")
SERVER_ERROR = 500
TRANSIENT_TRIES = 3
TRANSIENT_PAUSE_S = 0.3


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`raw` is what the server said, for people to read."""

    event: events.CheckAnswered | events.CheckUnusable
    raw: str


@dataclass(frozen=True, slots=True)
class _Finding:
    raw: str
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    auto_executing: bool = False


class CacheCheck:
    """Asks one server about its workflows. With kind `auto` it remembers which kind the server offers."""

    def __init__(self, client: ComfyClient, kind: str, path: str, workflows: Sequence[Workflow]) -> None:
        self._client = client
        self._path = path
        self._workflows = workflows
        self._configured = kind
        self._offered: str | None = None
        self._distrusted: set[str] = set()

    def distrust(self, prompt_id: str) -> None:
        """This prompt of ours was accepted only in part: its success in history proves nothing."""
        self._distrusted.add(prompt_id)

    def forget(self) -> None:
        """The server may be another one now: find out again what it offers."""
        self._offered = None

    async def ask(self, epoch: int) -> CheckResult:
        """What the cache holds, in the server's `epoch`."""
        try:
            kind, finding = await self._find_by_first(self._kinds())
        except NotAnsweringError:
            raise
        except ComfyError as error:
            self.forget()
            raw = error.raw if isinstance(error, NotUnderstoodError) else ""
            return CheckResult(events.CheckUnusable(_reason(error), f"cache check: {error}"), raw)
        self._offered = kind
        event = events.CheckAnswered(kind, finding.missing, finding.needed, finding.auto_executing, epoch)
        return CheckResult(event, finding.raw[:RAW_LIMIT])

    def _kinds(self) -> tuple[str, ...]:
        """The kinds to try. With `auto` the one that was offered last comes first, and the others again behind it."""
        if self._configured != "auto":
            return (self._configured,)
        return tuple(dict.fromkeys((self._offered or AUTO_ORDER[0], *AUTO_ORDER)))

    async def _find_by_first(self, kinds: tuple[str, ...]) -> tuple[str, _Finding]:
        """By the first kind that the server offers; AbsentError where it offers none."""
        for kind in kinds[:-1]:
            with suppress(AbsentError):
                return kind, await self._find(kind)
        return kinds[-1], await self._find(kinds[-1])

    async def _find(self, kind: str) -> _Finding:
        if kind == "text":
            return await self._find_by_text()
        if kind == "inspire":
            return await self._find_by_inspire()
        return await self._find_by_history(self._workflows)

    async def _find_by_text(self) -> _Finding:
        """The plug-in speaks for the whole server, also for workflows without cache nodes."""
        reply = (await self._client.get(self._path)).raise_for_status()
        said = parse_text(reply.text)
        if said.loaded:
            return _Finding(reply.text, (), ())
        concerned = _workflows_with(self._workflows, said.missing) or [one.name for one in self._workflows]
        return _Finding(reply.text, said.missing, tuple(concerned), said.auto_executing)

    async def _find_by_inspire(self) -> _Finding:
        """Workflows without cache nodes have no keys to look for: those are judged by history."""
        keyless = [one for one in self._workflows if not one.keys]
        reply = await self._get_inspire_list()
        keys = dict.fromkeys(key for one in self._workflows for key in one.keys)
        missing = parse_inspire_list(reply.text).missing(keys)
        needed = _workflows_with(self._workflows, missing)
        by_history = await self._find_by_history(keyless) if keyless else _Finding("", (), ())
        return _Finding(reply.text + by_history.raw, missing, (*needed, *by_history.needed))

    async def _find_by_history(self, workflows: Sequence[Workflow]) -> _Finding:
        """A workflow is warm while its success stands in history with nothing foreign after it.

        History is in the server's memory, so what stands there also proves that there was no restart since.
        """
        entries = await self._client.newest_history(2 * len(self._workflows))
        trusted = list(takewhile(_keeps_the_cache, entries))
        needed = [one for one in workflows if not any(self._proves(entry, one) for entry in trusted)]
        raw = "\n".join(_line(entry) for entry in entries) or "(history is empty)"
        missing = dict.fromkeys(key for one in needed for key in one.keys)
        return _Finding(raw, tuple(missing), tuple(one.name for one in needed))

    def _proves(self, entry: HistoryEntry, workflow: Workflow) -> bool:
        """Whether the entry is a success of the whole of this workflow, as its file stands now."""
        marker = entry.marker
        if marker is None or marker.attempt in self._distrusted or not isinstance(entry.end, events.PromptSucceeded):
            return False
        same = marker.workflow == workflow.name and marker.digest == workflow.digest
        return same and entry.outputs.issuperset(node.node_id for node in workflow.cache_nodes)

    async def _get_inspire_list(self) -> Reply:
        """The answer, asked again where it is a 500: the list fails so while it is being changed."""
        reply = await self._client.get(INSPIRE_LIST)
        for _ in range(TRANSIENT_TRIES - 1):
            if reply.status != SERVER_ERROR:
                break
            await asyncio.sleep(TRANSIENT_PAUSE_S)
            reply = await self._client.get(INSPIRE_LIST)
        return reply.raise_for_status()


def _line(entry: HistoryEntry) -> str:
    """An entry for people: whose it was, and how it ended."""
    ended = type(entry.end).__name__.removeprefix("Prompt").lower()
    whose = f"comfywarm's {entry.marker.workflow}" if entry.marker is not None else "not comfywarm's"
    return f"{entry.prompt_id} {ended}, {whose}"


def _keeps_the_cache(entry: HistoryEntry) -> bool:
    """Whether what was cached before this prompt still is: it is ours, and did not exhaust the memory."""
    exhausted = isinstance(entry.end, events.PromptFailed) and entry.end.out_of_memory
    return entry.marker is not None and not exhausted


def _workflows_with(workflows: Iterable[Workflow], missing: Iterable[str]) -> list[str]:
    lacking = set(missing)
    return [one.name for one in workflows if not lacking.isdisjoint(one.keys)]


def _reason(error: ComfyError) -> Reason:
    if isinstance(error, AccessDeniedError):
        return Reason.ACCESS_DENIED
    return Reason.CHECK_ABSENT if isinstance(error, AbsentError) else Reason.CHECK_UNRECOGNISED
