"""The cache check `history`: what a server's own history shows of our warm-ups."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from statemachine.comfyui.cache_mode import CacheKind, CacheMode, cache_mode
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import CacheDisabledError, ComfyError, NotAnsweringError, RateLimitedError
from statemachine.comfyui.graph_overlap import contains_nodes
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

    __slots__ = ("_client", "_count", "_excluded", "_mode")

    def __init__(self, client: ComfyClient, count: int) -> None:
        self._client = client
        self._count = count
        self._excluded: frozenset[str] = frozenset()
        self._mode: CacheMode | None = None

    def exclude(self, prompt_id: str) -> None:
        """Ignore this warm-up's success, because the server accepted only a part of its workflow."""
        self._excluded |= {prompt_id}

    def forget_cache_mode(self) -> None:
        """Ask for the cache mode again before the next check."""
        self._mode = None

    async def find(self, workflows: Sequence[Workflow]) -> HistoryFinding:
        """Return which workflows must run: one is warm until a prompt of another client follows its success.

        A workflow without cache nodes is also lost to another one of ours, if the server keeps the last one's results.
        Raises CacheDisabledError if the server keeps nothing between prompts.
        """
        entries = await self._client.newest_history(self._count)
        mode = await self._cache_mode()
        if mode.kind is CacheKind.NONE:
            raise CacheDisabledError(message("keeps_nothing", workflows=[workflow.name for workflow in workflows]))
        valid = list(_run_that_keeps_cache(entries))
        keeps_all = mode.keeps_all(sum(len(workflow.graph) for workflow in workflows))
        ran = [workflow for workflow in workflows if any(self._confirms(entry, workflow) for entry in valid)]
        displaced = [] if keeps_all else [workflow for workflow in ran if not self._is_last(workflow, valid)]
        warm = ran if mode.may_keep_more else [workflow for workflow in ran if workflow not in displaced]
        needed = [workflow for workflow in workflows if workflow not in warm]
        raw = "\n".join(_line(entry) for entry in entries) or "(history is empty)"
        missing = dict.fromkeys(key for workflow in needed for key in workflow.keys)
        caveat = _caveat(mode, displaced)
        return HistoryFinding(raw, tuple(missing), tuple(workflow.name for workflow in needed), caveat)

    def _is_last(self, workflow: Workflow, newest: Iterable[HistoryEntry]) -> bool:
        """Return whether a cache of the last results still has the workflow's: what ran since has the same nodes.

        The plug-in of a workflow with cache nodes holds the models itself.
        """
        later = takewhile(lambda entry: not self._confirms(entry, workflow), newest)
        return bool(workflow.keys) or all(contains_nodes(entry.graph, workflow.graph) for entry in later)

    def _confirms(self, entry: HistoryEntry, workflow: Workflow) -> bool:
        """Return whether the entry is a success of this whole workflow with its current content."""
        marker = entry.marker
        if marker is None or marker.attempt in self._excluded or not isinstance(entry.end, events.PromptSucceeded):
            return False
        same = marker.workflow == workflow.name and marker.digest == workflow.digest
        return same and entry.outputs.issuperset(node.node_id for node in workflow.cache_nodes)

    async def _cache_mode(self) -> CacheMode:
        """Return the server's cache mode, unknown if its answer is not understood."""
        if self._mode is None:
            try:
                self._mode = cache_mode(await self._client.system_stats())
            except (NotAnsweringError, RateLimitedError):
                raise
            except ComfyError:
                self._mode = CacheMode()
        return self._mode


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
