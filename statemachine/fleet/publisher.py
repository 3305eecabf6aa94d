"""From a transition to everything that outsiders see: journal first, then snapshot, bus and log, in this order."""

from collections.abc import Sequence
from functools import partial

from statemachine.core.attempt import Attempt
from statemachine.core.log import LogEntry, entry_of, notice_entry
from statemachine.core.sentences import Language
from statemachine.core.transition import Transition
from statemachine.core.vocabulary import Notice, State
from statemachine.fleet.desk import Desk
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.journal import Journal
from statemachine.publish.bus import Bus, Message
from statemachine.publish.render import entry_message, progress_message
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.view import LiveFigures, ServerView


class Publisher:
    """The one writer of snapshot and bus."""

    def __init__(
        self, journal: Journal, snapshot: Snapshot, bus: Bus, log: TransitionLog, language: Language = "en"
    ) -> None:
        self._journal = journal
        self._language = language
        self._snapshot = snapshot
        self._bus = bus
        self._log = log

    def place(self, desk: Desk) -> None:
        """Make a server visible as it stands, without an entry."""
        self._snapshot.put(view_of(desk))
        self._snapshot.attach(desk.config.name, desk.detail)

    def arrange(self, names: Sequence[str]) -> None:
        """Keep these servers visible, in this order, and no others."""
        self._snapshot.arrange(names)

    def transition(self, desk: Desk, transition: Transition, attempt: Attempt | None) -> None:
        """Write the transition (and the attempt, where it changed); publish it once it is written."""
        entry = entry_of(transition, desk.config.group)
        self._journal.append(entry, attempt, partial(self._told, view_of(desk)))

    def notice(self, notice: Notice, at: float, detail: str = "") -> None:
        """Write and publish a notice (`at` in epoch seconds); `detail` completes its sentence."""
        self._journal.append(notice_entry(notice, at, self._language, detail), None, self._told_notice)

    def _told_notice(self, entry: LogEntry) -> None:
        self._bus.publish(entry_message(entry))
        self._log.write(entry)

    def _told(self, view: ServerView, entry: LogEntry) -> None:
        message = entry_message(entry, view)
        if self._snapshot.get(view.name) is not None:  # it may have been removed while the entry was written
            self._snapshot.put(view)
        self._bus.publish(message)
        self._log.write(entry)

    def progress(self, desk: Desk) -> None:
        """Publish live figures where they changed visibly. They are no transitions and are not kept."""
        name, server = desk.config.name, desk.server
        live = LiveFigures(_progress(desk), server.queue_remaining, server.last_check)
        if self._snapshot.update(name, server.state, live):
            self._bus.publish_live(partial(self._live_message, name))

    def next_action(self, desk: Desk, at: float | None) -> None:
        """Publish when the server will next be acted upon (epoch seconds)."""
        published = self._snapshot.get(desk.config.name)
        if published is not None and published.next_action_at != at and published.state is desk.server.state:
            self._snapshot.put(published._replace(next_action_at=at))
            self._bus.publish_live(partial(self._live_message, desk.config.name))

    def _live_message(self, name: str) -> Message:
        view = self._snapshot.get(name)
        assert view is not None  # noqa: S101 - it has just been written
        return progress_message(view)


def view_of(desk: Desk) -> ServerView:
    """The server's line as it stands now."""
    server, attempt = desk.server, desk.server.open_attempt
    return ServerView(
        name=desk.config.name,
        url=desk.config.url,
        group=desk.config.group,
        state=server.state,
        since=server.since,
        reason=server.reason,
        message=server.message,
        auto_executing=server.state is State.AUTO_EXECUTING,
        missing=server.missing,
        prompt_id=attempt.prompt_id if attempt is not None else None,
        progress=_progress(desk),
        queue_remaining=server.queue_remaining,
        last_check=server.last_check,
        workflows=desk.config.workflows,
    )


def _progress(desk: Desk) -> float | None:
    attempt = desk.server.open_attempt if desk.server.state is State.WARMING else None
    return round(attempt.progress, 2) if attempt is not None else None
