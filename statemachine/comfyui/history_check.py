"""The cache check `history`: what a server's own history shows of our warm-ups."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from statemachine.comfyui.cache_mode import CacheKind, CacheMode, cache_mode
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import CacheDisabledError, ComfyError, NotAnsweringError, RateLimitedError
from statemachine.comfyui.records import HistoryEntry, UnreadableEntry
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.messages import Message, message


@dataclass(frozen=True, slots=True)
class HistoryFinding:
    """What history shows. `caveat`: what the server's cache may have dropped nevertheless."""

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

        Raises CacheDisabledError if the server keeps nothing between prompts.
        """
        entries = await self._client.newest_history(self._count)
        mode = await self._cache_mode()
        if mode.kind is CacheKind.NONE:
            raise CacheDisabledError(message("keeps_nothing", workflows=[workflow.name for workflow in workflows]))
        valid = list(_run_that_keeps_cache(entries))
        needed = [workflow for workflow in workflows if not any(self._confirms(entry, workflow) for entry in valid)]
        raw = "\n".join(_line(entry) for entry in entries) or "(history is empty)"
        missing = dict.fromkeys(key for workflow in needed for key in workflow.keys)
        caveat = _caveat(mode, workflows, valid)
        return HistoryFinding(raw, tuple(missing), tuple(workflow.name for workflow in needed), caveat)

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


def _caveat(mode: CacheMode, workflows: Sequence[Workflow], valid: Sequence[HistoryEntry]) -> Message | None:
    """Return which of several workflows may load again, because the server ran another one of ours after them."""
    last = next((entry.marker.workflow for entry in valid if entry.marker is not None), None)
    older = [workflow.name for workflow in workflows if workflow.name != last]
    if not older or mode.keeps_all(sum(len(workflow.graph) for workflow in workflows)):
        return None
    return message("keeps_last_only", kind=mode.kind.value, workflows=older)


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
