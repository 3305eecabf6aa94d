"""The choice of a warm server for the next request: by queues, or also by the models that it needs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from statemachine.comfyui.model_needs import KEY_MARK, keys_of, models_of
from statemachine.comfyui.workflow import Workflow
from statemachine.core.backoff import Uniform
from statemachine.core.server import LiveFigures, ServerView
from statemachine.core.vocabulary import NEW_PROCESS, State
from statemachine.publish.snapshot import Snapshot
from statemachine.routing.decision import Decision
from statemachine.routing.fleet import RoutedFleet
from statemachine.routing.queue_watch import QueueWatch

PICK_LIFETIME_S = 2.0
"""Time for which a pick counts as a queued prompt, unless the server reports a changed queue earlier."""

Workflows = Mapping[str, object]
"""The workflow files by name; what is not a Workflow could not be read."""


@dataclass(slots=True)
class _Picks:
    """Picks of one server since its queue has had this length. `last` is the time of the latest one."""

    queue_remaining: int | None
    count: int
    last: float


class Router:
    """Chooses servers and remembers recent picks, because a queue grows only when the request has arrived."""

    def __init__(self, uniform: Uniform) -> None:
        """Break ties with `uniform`, which returns numbers in [0, 1)."""
        self._uniform = uniform
        self._picks: dict[str, _Picks] = {}

    def choose(self, candidates: Iterable[ServerView], at: float) -> ServerView | None:
        """Return the loaded candidate with the shortest queue, or None if no candidate is loaded.

        A queue of unknown length is considered longest. `at` is the time in seconds of a monotonic clock.
        """
        self._forget(at)
        warm = [(self._length(view), view) for view in candidates if view.cache_loaded]
        if not warm:
            return None
        shortest = min(length for length, _ in warm)
        chosen = self._random_one([view for length, view in warm if length == shortest])
        self._remember(chosen, at)
        return chosen

    def _length(self, view: ServerView) -> tuple[bool, int]:
        picks = self._picks.get(view.name)
        sent = picks.count if picks is not None and picks.queue_remaining == view.queue_remaining else 0
        return view.queue_remaining is None, (view.queue_remaining or 0) + sent

    def _random_one(self, views: Sequence[ServerView]) -> ServerView:
        return views[int(self._uniform() * len(views))]

    def _remember(self, view: ServerView, at: float) -> None:
        before = self._picks.get(view.name)
        same = before is not None and before.queue_remaining == view.queue_remaining
        count = before.count + 1 if before is not None and same else 1
        self._picks[view.name] = _Picks(view.queue_remaining, count, at)

    def _forget(self, at: float) -> None:
        self._picks = {name: picks for name, picks in self._picks.items() if at - picks.last < PICK_LIFETIME_S}


class ModelsRouter:
    """Follows the snapshot and chooses servers. Only loaded servers are chosen.

    Queues are followed from the first choice on: their lengths change with most frames of a busy fleet.

    `workflows` returns the active workflow files, `clock` seconds of a monotonic clock.
    """

    def __init__(self, snapshot: Snapshot, workflows: Callable[[], Workflows], clock: Callable[[], float]) -> None:
        self._workflows = workflows
        self._read: Workflows | None = None
        self._keys: dict[str, frozenset[str]] = {}
        self._clock = clock
        self._snapshot = snapshot
        self._follows_queues = False
        self._fleet = RoutedFleet()
        self._watch = QueueWatch(self._fleet)
        self._views: dict[str, ServerView] = {}
        for view in snapshot:
            self.on_view(view)
        snapshot.add_follower(self)

    def models_of(self, graph: object) -> frozenset[str]:
        """Return the models that a graph loads."""
        self._read_workflows()
        return models_of(graph, None, self._keys)

    def models_of_workflow(self, name: str) -> frozenset[str] | None:
        """Return the models of a workflow file; None if it could not be read."""
        workflow = self._workflows().get(name)
        return self.models_of(workflow.graph) if isinstance(workflow, Workflow) else None

    def choose(self, models: frozenset[str] | None, candidates: Iterable[ServerView]) -> Decision | None:
        """Return the best loaded candidate, and count the request as under way there; None if none is loaded."""
        self._follow_queues()
        at, names = self._clock(), {view.name for view in candidates}
        self._watch.expire(at)
        decision = self._fleet.choose(models, at, None if len(names) == len(self._views) else names)
        if decision is not None:
            self._watch.picked(decision.chosen.server, models, at)
        return decision

    # Called by the snapshot.

    def on_view(self, view: ServerView) -> None:
        """Apply the view of a server after a change."""
        before, self._views[view.name] = self._views.get(view.name), view
        self._fleet.put(view.name, is_ready=view.cache_loaded)
        if view.reason in NEW_PROCESS and (before is None or before.since != view.since):
            self._watch.restarted(view.name, self._clock())
        self._see_queue(view.name, view.queue_remaining)
        if view.state in {State.LOADED, State.COLD} and (before is None or before.last_check != view.last_check):
            self._report(view)

    def on_live(self, name: str, live: LiveFigures) -> None:
        """Apply live figures of a server."""
        self._see_queue(name, live.queue_remaining)

    def on_order(self, names: Sequence[str]) -> None:
        """Forget the servers that are not in the fleet any more."""
        for name in self._views.keys() - set(names):
            del self._views[name]
            self._watch.forget(name)

    def _follow_queues(self) -> None:
        if not self._follows_queues:
            self._follows_queues = True
            for view in self._snapshot:
                self._see_queue(view.name, view.queue_remaining)

    def _see_queue(self, name: str, length: int | None) -> None:
        if self._follows_queues and length is not None and name in self._views:
            self._watch.seen(name, length, self._clock())

    def _report(self, view: ServerView) -> None:
        """Apply a verdict: the models behind the keys of its workflows are ready, but for those that are missing."""
        self._read_workflows()
        files = (self._workflows().get(name) for name in view.workflows)
        keys = {key for one in files if isinstance(one, Workflow) for key in one.keys}
        missing = keys.intersection(view.missing) if view.state is State.COLD else set[str]()
        self._fleet.report(view.name, self._behind(keys - missing), self._behind(missing), self._clock())

    def _behind(self, keys: Iterable[str]) -> frozenset[str]:
        return frozenset[str]().union(*(self._keys.get(key) or {KEY_MARK + key} for key in keys))

    def _read_workflows(self) -> None:
        """Find the keys of the active workflow files, if these have changed."""
        workflows = self._workflows()
        if workflows is not self._read:
            self._read = workflows
            self._keys = keys_of(one for one in workflows.values() if isinstance(one, Workflow))
