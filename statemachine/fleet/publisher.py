"""From a transition to everything that outsiders see: journal first, then snapshot, bus and log, in this order."""

from collections.abc import Sequence
from functools import partial

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import LogEntry, Transition, entry_of, notice_entry
from statemachine.core.messages import Language
from statemachine.core.server import Server
from statemachine.core.view import LiveFigures, ServerView
from statemachine.core.vocabulary import Notice, State
from statemachine.fleet.context import ServerContext
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus
from statemachine.publish.serialize import entry_message
from statemachine.publish.snapshot import Snapshot
from statemachine.settings.servers import ServerConfig


class Publisher:
    """The one writer of snapshot and bus."""

    def __init__(
        self, journal: JournalPort, snapshot: Snapshot, bus: Bus, log: TransitionLog, language: Language = "en"
    ) -> None:
        self._journal = journal
        self._language = language
        self._snapshot = snapshot
        self._bus = bus
        self._log = log

    def publish_initial(self, config: ServerConfig, server: Server) -> None:
        """Make a server visible that nobody looks after yet."""
        self._snapshot.put(view_of(config, server))

    def publish_current(self, context: ServerContext) -> None:
        """Make a server visible as it stands, without an entry."""
        self._publish_live(view_of(context.config, context.server))
        self._snapshot.attach(context.config.name, context.detail)

    def set_order(self, names: Sequence[str]) -> None:
        """Keep these servers visible, in this order, and no others."""
        self._snapshot.set_order(names)

    def transition(self, context: ServerContext, transition: Transition, attempt: Attempt | None) -> None:
        """Write the transition (and the attempt, where it changed); publish it once it is written."""
        entry = entry_of(transition, context.config.group)
        view = view_of(context.config, context.server)
        self._journal.append(entry, attempt, partial(self.on_committed, view), view)

    def notice(self, notice: Notice, at: float, detail: str = "") -> None:
        """Write and publish a notice (`at` in epoch seconds); `detail` completes its sentence."""
        self._journal.append(notice_entry(notice, at, self._language, detail), None, partial(self.on_committed, None))

    def on_committed(self, view: ServerView | None, entry: LogEntry) -> None:
        """The entry is kept; `view` is the line of its server after it, None for a notice."""
        message = entry_message(entry, view)
        if view is not None and self._snapshot.get(view.name) is not None:  # it may have been removed meanwhile
            self._snapshot.put(view)
        self._bus.publish(message)
        self._log.write(entry)

    def progress(self, context: ServerContext) -> None:
        """Publish live figures where they changed visibly. They are no transitions and are not kept."""
        name, server = context.config.name, context.server
        live = LiveFigures(_progress(server), server.queue_remaining, server.last_check)
        if self._snapshot.update(name, server.state, live):
            self._bus.publish_live(name, partial(self._snapshot.get, name))

    def next_action(self, context: ServerContext, at: float | None) -> None:
        """Publish when the server will next be acted upon (epoch seconds)."""
        published = self._snapshot.get(context.config.name)
        if published is not None and published.next_action_at != at and published.state is context.server.state:
            self._publish_live(published._replace(next_action_at=at))

    def _publish_live(self, fresh: ServerView) -> None:
        self._snapshot.put(fresh)
        self._bus.publish_live(fresh.name, lambda: fresh)


def view_of(config: ServerConfig, server: Server) -> ServerView:
    """The server's line as it stands now."""
    attempt = server.open_attempt
    return ServerView(
        name=config.name,
        url=config.url,
        group=config.group,
        state=server.state,
        since=server.since,
        reason=server.reason,
        message=server.message,
        auto_executing=server.state is State.AUTO_EXECUTING,
        missing=server.missing,
        prompt_id=attempt.prompt_id if attempt is not None else None,
        progress=_progress(server),
        queue_remaining=server.queue_remaining,
        last_check=server.last_check,
        workflows=config.workflows,
    )


def _progress(server: Server) -> float | None:
    attempt = server.open_attempt if server.state is State.WARMING else None
    return round(attempt.progress, 2) if attempt is not None else None
