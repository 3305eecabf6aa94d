"""The cache checks: four ways of asking a server what it holds, and `auto`, the first of them that it offers.

A check returns one of the core's events and the raw text of the answer. It raises NotAnsweringError where none came.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from statemachine.comfyui.node_answers import JSON, NodeAnswer, joined, parse_node, peek, questions
from statemachine.comfyui.records import HistoryEntry
from statemachine.comfyui.transport import OK, Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.messages import message
from statemachine.core.vocabulary import Reason

INSPIRE_LIST = "/inspire/cache/list"
AUTO_STEPS = (("node", "text"), ("inspire",), ("history",))
"""Kinds that stand together are told apart by one answer at the same path: asking it twice might start work twice."""

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
    node_cursor: events.NodeCursor | None = None


def kinds_of(configured: str) -> tuple[str, ...]:
    """The kinds that a setting stands for, in the order in which they are tried."""
    return tuple(kind for step in AUTO_STEPS for kind in step) if configured == "auto" else (configured,)


class CacheCheck:
    """Asks one server about its workflows. Of several kinds it remembers which one the server offers."""

    __slots__ = (
        "_at_path",
        "_client",
        "_configured",
        "_distrusted",
        "_keyless",
        "_keys",
        "_offered",
        "_path",
        "_workflows",
    )

    def __init__(self, client: ComfyClient, kinds: tuple[str, ...], path: str, workflows: Sequence[Workflow]) -> None:
        self._client = client
        self._path = path
        self._workflows = workflows
        self._keys = tuple(dict.fromkeys(key for one in workflows for key in one.keys))
        self._keyless = tuple(one for one in workflows if not one.keys)
        self._configured = kinds
        self._offered: str | None = None
        self._distrusted: frozenset[str] = frozenset()
        self._at_path: Reply | None = None

    def distrust(self, prompt_id: str) -> None:
        """This prompt of ours was accepted only in part: its success in history proves nothing."""
        self._distrusted |= {prompt_id}

    def forget(self) -> None:
        """The server may be another one now: find out again what it offers."""
        self._offered = None

    async def ask(self, epoch: int) -> CheckResult:
        """What the cache holds, in the server's `epoch`."""
        self._at_path = None
        try:
            kind, finding = await self._find_by_first(self._kinds())
        except NotAnsweringError:
            raise
        except ComfyError as error:
            self.forget()
            raw = error.raw if isinstance(error, NotUnderstoodError) else ""
            return CheckResult(events.CheckUnusable(_reason(error), message("check_failed", error=error.message)), raw)
        self._offered = kind
        event = events.CheckAnswered(
            kind, finding.missing, finding.needed, finding.auto_executing, epoch, finding.node_cursor
        )
        return CheckResult(event, finding.raw[:RAW_LIMIT])

    async def instance(self) -> str | None:
        """Which life of the server the companion node tells, None where none is there. Raises ComfyError.

        To be asked only where one was: it starts nothing, which cannot be said of others at that path.
        """
        said = parse_node((await self._client.get(peek(self._path), JSON)).raise_for_status().text)
        return said.instance if said is not None else None

    def _kinds(self) -> tuple[str, ...]:
        """The kinds to try. The one that was offered last comes first, and the others again behind it."""
        if self._offered is None or self._offered in AUTO_STEPS[0]:
            return self._configured
        return tuple(dict.fromkeys((self._offered, *self._configured)))

    async def _find_by_first(self, kinds: tuple[str, ...]) -> tuple[str, _Finding]:
        """By the first kind that the server offers; AbsentError where it offers none."""
        for kind in kinds[:-1]:
            with suppress(AbsentError):
                return kind, await self._find(kind)
        return kinds[-1], await self._find(kinds[-1])

    async def _find(self, kind: str) -> _Finding:
        if kind == "node":
            return await self._find_by_node()
        if kind == "text":
            return await self._find_by_text()
        if kind == "inspire":
            return await self._find_by_inspire()
        return await self._find_by_history(self._workflows)

    async def _ask_at_path(self) -> Reply:
        """The answer at the path, of which there is one only in each ask: more might start work more than once."""
        if self._at_path is None:
            question = questions(self._path, self._keys)[0] if "node" in self._configured else self._path
            self._at_path = await self._client.get(question, JSON if "node" in self._configured else None)
        return self._at_path.raise_for_status()

    async def _find_by_node(self) -> _Finding:
        """AbsentError where a plug-in answers in words; what neither of them would say is not understood."""
        reply = await self._ask_at_path()
        said = parse_node(reply.text)
        if said is None:
            parse_text(reply.text)
            raise AbsentError(message("plugin_instead_of_node"))
        said = joined([said, *[await self._ask_node(one) for one in questions(self._path, self._keys)[1:]]])
        missing = said.missing_of(self._keys)
        node_cursor = events.NodeCursor(said.instance, said.sequence, self._keys)
        if said.loading and missing:  # to be told at once: a failure of the history would have it asked again meanwhile
            needed = tuple(_workflows_with(self._workflows, missing))
            return _Finding(reply.text, missing, needed, auto_executing=True, node_cursor=node_cursor)
        return replace(await self._with_keyless(reply.text, missing), node_cursor=node_cursor)

    async def _ask_node(self, question: str) -> NodeAnswer:
        """The answer to a further question: the server has shown that its node understands it."""
        reply = (await self._client.get(question, JSON)).raise_for_status()
        said = parse_node(reply.text)
        if said is None:
            raise NotUnderstoodError(message("node_stopped_answering"), OK, reply.text)
        return said

    async def _find_by_text(self) -> _Finding:
        """The plug-in speaks for the whole server, also for workflows without cache nodes."""
        reply = await self._ask_at_path()
        said = parse_text(reply.text)
        if said.loaded:
            return _Finding(reply.text, (), ())
        concerned = _workflows_with(self._workflows, said.missing) or [one.name for one in self._workflows]
        return _Finding(reply.text, said.missing, tuple(concerned), said.auto_executing)

    async def _find_by_inspire(self) -> _Finding:
        reply = await self._get_inspire_list()
        return await self._with_keyless(reply.text, parse_inspire_list(reply.text).missing(self._keys))

    async def _with_keyless(self, raw: str, missing: tuple[str, ...]) -> _Finding:
        """Workflows without cache nodes have no keys to look for: those are judged by history."""
        needed = _workflows_with(self._workflows, missing)
        by_history = await self._find_by_history(self._keyless) if self._keyless else _Finding("", (), ())
        return _Finding(raw + by_history.raw, missing, (*needed, *by_history.needed))

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
