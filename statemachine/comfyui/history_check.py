"""The cache check `history`: what a server's own history shows of our warm-ups."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from statemachine.comfyui.cache_mode import CacheKind, CacheMode, cache_mode
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import (
    CacheDisabledError,
    CacheTooSmallError,
    ComfyError,
    NotAnsweringError,
    RateLimitedError,
)
from statemachine.comfyui.graph_overlap import contains_nodes, distinct_nodes
from statemachine.comfyui.records import HistoryEntry, UnreadableEntry
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.messages import Message, message


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """What history shows. `caveat` names workflows that ran, but whose results the server may not have kept."""

    raw: str
    missing: tuple[str, ...]
    needed: tuple[str, ...]
    caveat: Message | None = None


class HistoryCheck:
    """Checks workflows of one server by its newest `count` history entries.

    History is in the server's memory, so an entry also shows that the server has not restarted since. How the
    executor keeps results is asked once for each process of the server.
    """

    __slots__ = ("_client", "_count", "_dropped", "_excluded", "_forgets", "_mode", "_newest")

    def __init__(self, client: ComfyClient, count: int) -> None:
        self._client = client
        self._count = count
        self._excluded: frozenset[str] = frozenset()
        self._mode: CacheMode | None = None
        self._forgets = 0
        self._newest = ""
        self._dropped = ""
        """The newest prompt whose results, like all earlier ones, were dropped because memory was short."""

    def exclude(self, prompt_id: str) -> None:
        """Ignore this warm-up's success, because the server accepted only a part of its workflow."""
        self._excluded |= {prompt_id}

    def forget_cache_mode(self) -> None:
        """Ask for the cache mode again before the next check."""
        self._mode = None
        self._forgets += 1

    async def find(self, workflows: Sequence[Workflow]) -> HistoryFinding:
        """Return which workflows must run: one is warm until a prompt of another client follows its success.

        A workflow without cache nodes is also lost to another one of ours, if the server does not keep both.
        Raises CacheTooSmallError if it never will, and all of them have run: then no further run could help. The same
        holds while memory is so short that the server has dropped the results of the newest run.
        """
        entries = await self._client.newest_history(self._count)
        mode = await self._cache_mode(entries[0].prompt_id if entries else "")
        if mode.kind is CacheKind.NONE:
            raise CacheDisabledError(message("keeps_nothing", workflows=[workflow.name for workflow in workflows]))
        valid = list(_run_that_keeps_cache(entries))
        runs = [(workflow, self._newest_run(workflow, valid)) for workflow in workflows]
        displaced = [workflow for workflow, run in runs if run is not None and not run.is_kept(mode)]
        lost = () if mode.may_keep_more else displaced
        needed = _in_order([workflow for workflow, run in runs if run is None or workflow in lost])
        conflict = _conflict(mode, [workflow for workflow in workflows if not workflow.keys])
        if conflict is not None and all(run is not None for _, run in runs):
            raise CacheTooSmallError(conflict)
        drops_all = bool(mode.lacks_gib and valid and valid[0].prompt_id == self._dropped)
        if needed and drops_all and not any(workflow.keys for workflow in needed):
            raise CacheDisabledError(_short_of_memory(mode, needed))
        raw = "\n".join(_line(entry) for entry in entries) or "(history is empty)"
        missing = dict.fromkeys(key for workflow in needed for key in workflow.keys)
        names = tuple(workflow.name for workflow in needed)
        return HistoryFinding(raw, tuple(missing), names, conflict or _caveat(mode, displaced))

    def _newest_run(self, workflow: Workflow, newest: Sequence[HistoryEntry]) -> "_Run | None":
        """Return the newest success of the workflow, or of another one with all its nodes if it has no cache nodes."""
        for index, entry in enumerate(newest):
            if entry.prompt_id == self._dropped and not workflow.keys:
                return None
            later = [one.graph for one in newest[:index]]
            if self._confirms(entry, workflow):
                return _Run(entry.graph, () if workflow.keys else later)
            if not workflow.keys and self._is_success(entry) and contains_nodes(entry.graph, workflow.graph):
                return _Run(workflow.graph, later)
        return None

    def _confirms(self, entry: HistoryEntry, workflow: Workflow) -> bool:
        """Return whether the entry is a success of this whole workflow with its current content."""
        marker = entry.marker
        same = marker is not None and (marker.workflow, marker.digest) == (workflow.name, workflow.digest)
        whole = entry.outputs.issuperset(node.node_id for node in workflow.cache_nodes)
        return same and whole and self._is_success(entry)

    def _is_success(self, entry: HistoryEntry) -> bool:
        """Return whether the entry is a warm-up that has run completely."""
        of_us = entry.marker is not None and entry.marker.attempt not in self._excluded
        return of_us and isinstance(entry.end, events.PromptSucceeded)

    async def _cache_mode(self, newest: str) -> CacheMode:
        """Return the server's cache mode, unknown if its answer is not understood.

        Where free memory matters, it is asked again after each prompt, and while it is short.
        """
        known, is_new, forgets = self._mode, newest != self._newest, self._forgets
        if known is not None and not (known.kind is CacheKind.RAM and (is_new or known.lacks_gib)):
            return known
        try:
            mode = cache_mode(await self._client.system_stats())
        except (NotAnsweringError, RateLimitedError):
            raise
        except ComfyError:
            mode = known or CacheMode()
        if is_new and mode.lacks_gib:
            self._dropped = newest
        self._mode, self._newest = mode if forgets == self._forgets else None, newest
        return mode


def _short_of_memory(mode: CacheMode, workflows: Sequence[Workflow]) -> Message:
    names = [workflow.name for workflow in workflows]
    return message("memory_short", limit=f"{mode.lacks_gib:.1f}", workflows=names)


class _Run(NamedTuple):
    """A run of `graph`, and the graphs that have run since and may have displaced its results.

    The plug-in of a workflow with cache nodes holds the models itself.
    """

    graph: Mapping[str, Any]
    later: Sequence[Mapping[str, Any]]

    def is_kept(self, mode: CacheMode) -> bool:
        """Return whether the executor still has the results. What ran since keeps those of nodes that it has too."""
        if mode.keeps_all(distinct_nodes([self.graph, *self.later])):
            return True
        return all(contains_nodes(graph, self.graph) for graph in self.later)


def _conflict(mode: CacheMode, keyless: Sequence[Workflow]) -> Message | None:
    """Return that the server cannot keep these workflows together, if that is so.

    It can if all fit into its cache, or if one of them has the nodes of all the others.
    """
    if len(keyless) <= 1 or mode.may_keep_more:
        return None
    count = distinct_nodes(workflow.graph for workflow in keyless)
    if mode.keeps_all(count) or max(_contained(workflow, keyless) for workflow in keyless) == len(keyless):
        return None
    names = [workflow.name for workflow in keyless]
    return message("displace_one_another", kind=mode.kind.value, workflows=names, count=count)


def _in_order(needed: Sequence[Workflow]) -> list[Workflow]:
    """Return the workflows so that few must run: with cache nodes first, then those that have others' nodes."""
    return sorted(needed, key=lambda workflow: (not workflow.keys, -_contained(workflow, needed)))


def _contained(workflow: Workflow, others: Sequence[Workflow]) -> int:
    """Return how many of the workflows without cache nodes have no nodes but this one's."""
    return sum(contains_nodes(workflow.graph, other.graph) for other in others if not other.keys)


def _caveat(mode: CacheMode, displaced: Sequence[Workflow]) -> Message | None:
    """Return which workflows a later one has displaced, or may have."""
    if not displaced:
        return None
    code = "keeps_last_only" if mode.may_keep_more else "dropped_older"
    return message(code, kind=mode.kind.value, workflows=[workflow.name for workflow in displaced])


def _line(entry: HistoryEntry | UnreadableEntry) -> str:
    """Return the entry's owner and end as a line for people to read."""
    ended = "is not understood"
    if isinstance(entry, HistoryEntry):
        ended = type(entry.end).__name__.removeprefix("Prompt").lower()
    owner = f"comfywarm's {entry.marker.workflow}" if entry.marker is not None else "not comfywarm's"
    return f"{entry.prompt_id} {ended}, {owner}"


def _run_that_keeps_cache(entries: Iterable[HistoryEntry | UnreadableEntry]) -> Iterator[HistoryEntry]:
    """Yield the newest entries up to one that may have changed the cache.

    An entry that is not understood may have. Raises NotUnderstoodError if it is a warm-up, which may have loaded.
    """
    for entry in entries:
        if isinstance(entry, UnreadableEntry):
            if entry.marker is not None:
                raise entry.error()
            return
        if not _keeps_cache(entry):
            return
        yield entry


def _keeps_cache(entry: HistoryEntry) -> bool:
    """Return whether the cache survives this prompt: it is a warm-up and did not run out of memory."""
    out_of_memory = isinstance(entry.end, events.PromptFailed) and entry.end.out_of_memory
    return entry.marker is not None and not out_of_memory
