"""The cache checks: four ways to find out what a server has cached, and `auto`, the first one that it offers.

A check returns an event and the raw text of the answer. It raises NotAnsweringError if no answer came.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from statemachine.comfyui.check_texts import bounded_keys, parse_inspire_list, parse_text
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import (
    RAW_LIMIT,
    AbsentError,
    CacheTooSmallError,
    ComfyError,
    NotAnsweringError,
    NotUnderstoodError,
    RateLimitedError,
)
from statemachine.comfyui.history_check import HistoryCheck
from statemachine.comfyui.node_answers import (
    JSON,
    NO_REPORT,
    NodeAnswer,
    WorkerReport,
    check_paths,
    merged,
    parse_node,
    peek_path,
)
from statemachine.comfyui.transport import OK, Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.levels import NO_PLACES, Level, Places, keys_below, places_of
from statemachine.core.messages import Message, message

INSPIRE_LIST = "/inspire/cache/list"
AUTO_STEPS = (("node", "text"), ("inspire",), ("history",))
"""The kinds that `auto` tries, in this order. One request distinguishes the kinds of a step, because a second request
at the same path might start the server's workflow twice."""

SERVER_ERROR = 500
INSPIRE_TRIES = 3
INSPIRE_PAUSE_S = 0.3
"""Inspire-Pack's list may answer 500 while it changes, which is transient (docs/comfyui.md)."""

ENTRIES_PER_WORKFLOW = 2
"""History entries to read for each workflow: its newest success and one newer failure."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The event of a check. `raw` is the server's answer, for people to read.

    `node_release` is the companion node's release, None if none answered or it does not name it.
    """

    event: events.CheckAnswered | events.CheckUnusable
    raw: str
    node_release: str | None = None


@dataclass(frozen=True, slots=True)
class _Finding:
    raw: str
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    auto_executing: bool = False
    node_cursor: events.NodeCursor | None = None
    caveat: Message | None = None
    places: Places | None = None
    below: tuple[str, ...] = ()
    node_release: str | None = None


def kinds_of(configured: str) -> tuple[str, ...]:
    """Return the kinds that a value of the setting `cache_check.kind` selects, in the order in which to try them."""
    return tuple(kind for step in AUTO_STEPS for kind in step) if configured == "auto" else (configured,)


class CacheCheck:
    """Checks the workflows of one server. Of several kinds, it remembers the one that the server offers."""

    __slots__ = (
        "_client",
        "_configured",
        "_forgets",
        "_history",
        "_keyless",
        "_keys",
        "_offered",
        "_path",
        "_path_reply",
        "_wanted",
        "_workflows",
    )

    def __init__(self, client: ComfyClient, kinds: tuple[str, ...], path: str, workflows: Sequence[Workflow]) -> None:
        self._client = client
        self._path = path
        self._workflows = workflows
        self._keys = tuple(dict.fromkeys(key for workflow in workflows for key in workflow.keys))
        self._wanted = _wanted(workflows)
        self._keyless = tuple(workflow for workflow in workflows if not workflow.keys)
        self._configured = kinds
        self._offered: str | None = None
        self._forgets = 0
        self._history = HistoryCheck(client, ENTRIES_PER_WORKFLOW * len(workflows))
        self._path_reply: Reply | None = None

    def exclude(self, prompt_id: str) -> None:
        """Ignore this warm-up's success in history, because the server accepted only a part of its workflow."""
        self._history.exclude(prompt_id)

    def forget(self) -> None:
        """Forget which kind the server offers, because another server may run at its address now."""
        self._offered = None
        self._forgets += 1
        self.forget_cache_mode()

    def forget_cache_mode(self) -> None:
        """Forget how the server's executor keeps results, because another process may run at its address now."""
        self._history.forget_cache_mode()

    @property
    def reads_history(self) -> bool:
        """Whether the next check may read the history. A plug-in's text covers workflows without cache nodes too."""
        kinds = self._configured if self._offered is None else (self._offered,)
        return "history" in kinds or (bool(self._keyless) and kinds != ("text",))

    async def ask(self, epoch: int) -> CheckResult:
        """Check the cache once. `epoch` is the server's current epoch, for the event.

        What the server offered is not remembered if it was to be forgotten meanwhile.
        """
        self._path_reply, forgets = None, self._forgets
        try:
            kind, finding = await self._find_by_first_offered(self._kinds())
        except NotAnsweringError:
            raise
        except ComfyError as error:
            if not isinstance(error, RateLimitedError):
                self.forget()
            failed = message("check_failed", error=error.message)
            return CheckResult(events.CheckUnusable(error.reason, failed), error.raw)
        self._offered = kind if forgets == self._forgets else None
        event = events.CheckAnswered(
            kind,
            finding.missing,
            finding.needed,
            finding.auto_executing,
            epoch,
            finding.node_cursor,
            caveat=finding.caveat or self._unobserved(finding),
            places=finding.places,
            below=finding.below,
        )
        return CheckResult(event, finding.raw[:RAW_LIMIT], finding.node_release)

    def _unobserved(self, finding: _Finding) -> Message | None:
        """Return for which keys, and workflows without keys, nothing observes the level that the settings want."""
        places = finding.places or NO_PLACES
        keyless = [workflow.name for workflow in self._keyless if workflow.warm > Level.KEY]
        unseen = [*keyless, *(key for key in self._wanted if key not in places)]
        if not unseen:
            return None
        return message("level_not_observed" if finding.places is None else "level_not_counted", names=unseen)

    async def instance(self) -> str | None:
        """Return the instance id that the companion node reports, None if another plug-in answers.

        Raises ComfyError. Call this only for a server whose companion node has answered before: at the same path,
        another plug-in's check may start a workflow.
        """
        answer = await self._peek()
        return answer.instance if answer is not None else None

    async def worker(self) -> WorkerReport:
        """Return what the companion node reports of ComfyUI's worker.

        Raises ComfyError. Call it only where `instance` may be called.
        """
        answer = await self._peek()
        return answer.worker if answer is not None else NO_REPORT

    async def _peek(self) -> NodeAnswer | None:
        """Return the node's answer, None if a plug-in answers with a known text instead. Raises ComfyError."""
        text = (await self._client.get(peek_path(self._path), JSON)).raise_for_status().text
        if (answer := parse_node(text)) is None:
            parse_text(text)
        return answer

    def _kinds(self) -> tuple[str, ...]:
        """Return the kinds to try, first the one that the server offered last."""
        if self._offered is None or self._offered in AUTO_STEPS[0]:
            return self._configured
        return tuple(dict.fromkeys((self._offered, *self._configured)))

    async def _find_by_first_offered(self, kinds: tuple[str, ...]) -> tuple[str, _Finding]:
        """Check with the first kind that the server offers.

        Raises AbsentError if it offers none, and NotAnsweringError if ComfyUI is not there.
        """
        for kind in kinds[:-1]:
            with suppress(AbsentError):
                return kind, await self._find(kind)
        try:
            return kinds[-1], await self._find(kinds[-1])
        except AbsentError:
            if kinds[-1] != "history":  # for which the client has asked
                await self._client.expect_comfyui()
            raise

    async def _find(self, kind: str) -> _Finding:
        if kind == "node":
            return await self._find_by_node()
        if kind == "text":
            return await self._find_by_text()
        if kind == "inspire":
            return await self._find_by_inspire()
        found = await self._history.find(self._workflows)
        return _Finding(found.raw, found.missing, found.needed, caveat=found.caveat)

    async def _get_path(self) -> Reply:
        """Return the reply at the check's path. It is requested once per check, because it may start a workflow."""
        if self._path_reply is None:
            with_node = "node" in self._configured
            path = check_paths(self._path, self._keys)[0] if with_node else self._path
            self._path_reply = await self._client.get(path, JSON if with_node else None)
        return self._path_reply.raise_for_status()

    async def _find_by_node(self) -> _Finding:
        """Check by the companion node. Raises AbsentError if a plug-in answers with a known text instead."""
        reply = await self._get_path()
        answer = parse_node(reply.text)
        if answer is None:
            parse_text(reply.text)
            raise AbsentError(message("plugin_instead_of_node"))
        answer = merged([answer, *[await self._ask_node(path) for path in check_paths(self._path, self._keys)[1:]]])
        missing = answer.missing_of(self._keys)
        places = None if answer.places is None else places_of(self._keys, answer.places)
        node_cursor = events.NodeCursor(answer.instance, answer.sequence, self._keys, wanted=self._wanted)
        if answer.loading and missing:
            # Do not read the history here: if that failed, the check would be repeated while the server loads.
            needed = tuple(_workflows_with(self._workflows, missing))
            found = _Finding(reply.text, missing, needed, auto_executing=True)
            return replace(found, node_cursor=node_cursor, places=places, node_release=answer.release)
        needed = _workflows_to_run(self._workflows, missing, places or NO_PLACES)
        finding = await self._with_keyless(reply.text, missing, needed)
        below = keys_below(places or NO_PLACES, self._wanted)
        return replace(finding, node_cursor=node_cursor, places=places, below=below, node_release=answer.release)

    async def _ask_node(self, path: str) -> NodeAnswer:
        """Check further keys of a server whose companion node has answered the first request."""
        reply = (await self._client.get(path, JSON)).raise_for_status()
        answer = parse_node(reply.text)
        if answer is None:
            raise NotUnderstoodError(message("node_stopped_answering"), OK, reply.text)
        return answer

    async def _find_by_text(self) -> _Finding:
        """Check by a plug-in's text, which covers the whole server, also workflows without cache nodes."""
        reply = await self._get_path()
        answer = parse_text(reply.text)
        if answer.loaded:
            return _Finding(reply.text, (), ())
        needed = _workflows_with(self._workflows, answer.missing) or [workflow.name for workflow in self._workflows]
        missing = bounded_keys(answer.missing, frozenset(self._keys))
        return _Finding(reply.text, missing, tuple(needed), answer.auto_executing)

    async def _find_by_inspire(self) -> _Finding:
        reply = await self._get_inspire_list()
        missing = parse_inspire_list(reply.text).missing(self._keys)
        return await self._with_keyless(reply.text, missing, tuple(_workflows_with(self._workflows, missing)))

    async def _with_keyless(self, raw: str, missing: tuple[str, ...], needed: tuple[str, ...]) -> _Finding:
        """Check the workflows without cache nodes by history, because they have no keys.

        On a server that cannot keep them they must not hide that keys are missing, which a warm-up can bring back.
        """
        if not self._keyless:
            return _Finding(raw, missing, needed)
        try:
            found = await self._history.find(self._keyless)
        except CacheTooSmallError:
            if not needed:
                raise
            return _Finding(raw, missing, needed)
        return _Finding(raw + found.raw, missing, (*needed, *found.needed), caveat=found.caveat)

    async def _get_inspire_list(self) -> Reply:
        """Return Inspire-Pack's list. A 500 is transient, so retry."""
        reply = await self._client.get(INSPIRE_LIST)
        for _ in range(INSPIRE_TRIES - 1):
            if reply.status != SERVER_ERROR:
                break
            await asyncio.sleep(INSPIRE_PAUSE_S)
            reply = await self._client.get(INSPIRE_LIST)
        return reply.raise_for_status()


def _workflows_with(workflows: Iterable[Workflow], keys: Iterable[str]) -> list[str]:
    wanted = set(keys)
    return [workflow.name for workflow in workflows if not wanted.isdisjoint(workflow.keys)]


def _workflows_to_run(workflows: Iterable[Workflow], missing: Iterable[str], places: Places) -> tuple[str, ...]:
    """Return the workflows that lack a key, or whose models are below the level that is wanted for them."""
    lacking = set(missing)
    return tuple(
        workflow.name
        for workflow in workflows
        if not lacking.isdisjoint(workflow.keys) or keys_below(places, workflow.wanted)
    )


def _wanted(workflows: Iterable[Workflow]) -> Mapping[str, Level]:
    """Return the highest level that a workflow wants for each key."""
    wanted: dict[str, Level] = {}
    for workflow in workflows:
        for key, level in workflow.wanted.items():
            wanted[key] = max(level, wanted.get(key, level))
    return wanted
