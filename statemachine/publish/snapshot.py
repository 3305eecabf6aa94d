"""What is known of the whole fleet now."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.publish.view import ServerDetail


class Snapshot:
    """The newest view of each server, in the order of the settings. One writer (the fleet), many readers."""

    def __init__(self) -> None:
        self._views: dict[str, ServerView] = {}
        self._details: dict[str, ServerDetail] = {}
        self._counts: Counter[State] = Counter()
        self._without_verdict: set[str] = set()
        self.changes = 0
        """Rises with each change of what outsiders see."""

    def put(self, view: ServerView) -> None:
        """Replace the view of one server."""
        before = self._views.get(view.name)
        self._views[view.name] = view
        self.changes += 1
        if before is None or before.last_check is None or view.last_check is None:
            self._note_verdict(view)
        if before is None or before.state is not view.state:
            self._counts[view.state] += 1
            if before is not None:
                self._counts[before.state] -= 1

    def attach(self, name: str, detail: ServerDetail) -> None:
        """Make the detail of a server known; its owner goes on writing into it."""
        self._details[name] = detail

    def arrange(self, names: Sequence[str]) -> None:
        """Keep these servers, in this order, and forget all others."""
        self._views = {name: self._views[name] for name in names if name in self._views}
        self._details = {name: self._details[name] for name in names if name in self._details}
        self._counts = Counter(view.state for view in self._views.values())
        self._without_verdict.intersection_update(self._views)
        self.changes += 1

    def get(self, name: str) -> ServerView | None:
        """The view of one server, None where there is none of that name."""
        return self._views.get(name)

    def detail(self, name: str) -> ServerDetail:
        """The detail of one server, empty where none is attached."""
        return self._details.get(name) or ServerDetail()

    def __iter__(self) -> Iterator[ServerView]:
        return iter(list(self._views.values()))

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
        return bool(self._views) and not self._without_verdict

    def _note_verdict(self, view: ServerView) -> None:
        """Kept at each change: whoever waits for a large fleet's verdicts asks again and again."""
        if view.last_check is not None or view.state in _VERDICTS:
            self._without_verdict.discard(view.name)
        else:
            self._without_verdict.add(view.name)


_VERDICTS = frozenset({State.UNREACHABLE, State.FAILED, State.PAUSED, State.SUBMITTING, State.WARMING})
