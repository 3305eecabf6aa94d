"""What is known of the whole fleet now."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from statemachine.core.view import LiveFigures, ServerView
from statemachine.core.vocabulary import State
from statemachine.publish.server_detail import ServerDetail


class Snapshot:
    """The newest view of each server, in the order of the settings. One writer (the fleet), many readers.

    Live figures change with most frames, and a view is looked at far less often: it takes them in when it is.
    """

    def __init__(self) -> None:
        self._views: dict[str, ServerView] = {}
        self._live: dict[str, LiveFigures] = {}
        self._details: dict[str, ServerDetail] = {}
        self._counts: Counter[State] = Counter()
        self._without_verdict: set[str] = set()
        self.changes = 0
        """Rises with each change of what outsiders see."""

    def put(self, view: ServerView) -> None:
        """Replace the view of one server."""
        before = self._views.get(view.name)
        self._views[view.name] = view
        self._live.pop(view.name, None)
        self.changes += 1
        if before is None or before.last_check is None or view.last_check is None:
            self._note_verdict(view)
        if before is None or before.state is not view.state:
            self._counts[view.state] += 1
            if before is not None:
                self._counts[before.state] -= 1

    def update(self, name: str, state: State, live: LiveFigures) -> bool:
        """Take in live figures of a server that is shown in this state; False where that changes nothing."""
        view = self._views.get(name)
        if view is None or view.state is not state or live == (self._live.get(name) or view.live):
            return False
        self._live[name] = live
        self.changes += 1
        return True

    def attach(self, name: str, detail: ServerDetail) -> None:
        """Make the detail of a server known; its owner goes on writing into it."""
        self._details[name] = detail

    def set_order(self, names: Sequence[str]) -> None:
        """Keep these servers, in this order, and forget all others."""
        self.flush_live()
        self._views = {name: self._views[name] for name in names if name in self._views}
        self._details = {name: self._details[name] for name in names if name in self._details}
        self._counts = Counter(view.state for view in self._views.values())
        self._without_verdict.intersection_update(self._views)
        self.changes += 1

    def get(self, name: str) -> ServerView | None:
        """The view of one server, None where there is none of that name."""
        self._settle_one(name)
        return self._views.get(name)

    def detail(self, name: str) -> ServerDetail:
        """The detail of one server, empty where none is attached."""
        return self._details.get(name) or ServerDetail()

    def flush_live(self) -> None:
        """Put the live figures into the views, so that a view that has not changed is the same one as before."""
        for name in list(self._live):
            self._settle_one(name)

    def _settle_one(self, name: str) -> None:
        live = self._live.pop(name, None)
        if live is not None:
            view = self._views[name] = self._views[name]._replace(**live._asdict())
            self._note_verdict(view)

    def __iter__(self) -> Iterator[ServerView]:
        """Changes nothing here: /metrics looks at the fleet from a thread of its own."""
        live, views = dict(self._live), list(self._views.values())
        return iter([view._replace(**live[view.name]._asdict()) if view.name in live else view for view in views])

    def __len__(self) -> int:
        return len(self._views)

    @property
    def states(self) -> Mapping[State, int]:
        """How many servers are in each state that has any."""
        return {state: self._counts[state] for state in State if self._counts[state]}

    def summary(self) -> str:
        """One sentence."""
        return f"{self._counts[State.LOADED]} of {len(self)} servers are loaded"

    @property
    def has_first_verdicts(self) -> bool:
        """Whether something has been found out about every server since the start."""
        for name in self._live.keys() & self._without_verdict:
            self._settle_one(name)
        return bool(self._views) and not self._without_verdict

    def _note_verdict(self, view: ServerView) -> None:
        """Kept at each change: whoever waits for a large fleet's verdicts asks again and again."""
        if view.last_check is not None or view.state in _VERDICTS:
            self._without_verdict.discard(view.name)
        else:
            self._without_verdict.add(view.name)


_VERDICTS = frozenset({State.UNREACHABLE, State.FAILED, State.PAUSED, State.SUBMITTING, State.WARMING})
