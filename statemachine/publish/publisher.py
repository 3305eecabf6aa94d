"""The publisher, which passes each change to the snapshot, then the bus, then the program's log."""

from collections.abc import Sequence
from functools import partial

from statemachine.core.log_entry import LogEntry
from statemachine.core.server import Server
from statemachine.core.view import LiveFigures, ServerView
from statemachine.core.vocabulary import State
from statemachine.i18n.render import worded
from statemachine.i18n.text import Language
from statemachine.publish.bus import Bus
from statemachine.publish.serialize import entry_message
from statemachine.publish.server_detail import ServerDetail
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.transition_log import TransitionLog
from statemachine.settings.servers import ServerConfig


class Publisher:
    """The only writer of the snapshot and the bus."""

    def __init__(self, snapshot: Snapshot, bus: Bus, log: TransitionLog, language: Language = "en") -> None:
        self._language = language
        self._snapshot = snapshot
        self._bus = bus
        self._log = log

    def publish_initial(self, config: ServerConfig, server: Server) -> None:
        """Publish a server whose task has not started yet."""
        self._snapshot.put(view_of(config, server, self._language))

    def publish_current(self, config: ServerConfig, server: Server, detail: ServerDetail) -> None:
        """Publish the current state of a server without a log entry."""
        self._publish_live(view_of(config, server, self._language))
        self._snapshot.attach(config.name, detail)

    def set_order(self, names: Sequence[str]) -> None:
        """Keep only these servers, in this order."""
        self._snapshot.set_order(names)

    def on_committed(self, entry: LogEntry, view: ServerView | None) -> None:
        """Publish a committed entry. `view` is the server's view after it, None for a notice."""
        message = entry_message(entry, view)
        if view is not None and self._snapshot.get(view.name) is not None:  # it may have been removed since
            self._snapshot.put(view)
        self._bus.publish(message)
        self._log.write(entry)

    def progress(self, server: Server) -> None:
        """Publish live figures if they changed visibly. They are not transitions and are not stored."""
        live = LiveFigures(_progress(server), server.queue_remaining, server.last_check)
        if self._snapshot.update(server.name, server.state, live):
            self._bus.publish_live(server.name, partial(self._snapshot.get, server.name))

    def next_action(self, server: Server, at: float | None) -> None:
        """Publish when the daemon will next act on the server (epoch seconds)."""
        published = self._snapshot.get(server.name)
        if published is not None and published.next_action_at != at and published.state is server.state:
            self._publish_live(published._replace(next_action_at=at))

    def _publish_live(self, view: ServerView) -> None:
        self._snapshot.put(view)
        self._bus.publish_live(view.name, lambda: view)


def view_of(config: ServerConfig, server: Server, language: Language) -> ServerView:
    """Return the current view of a server, its message in the daemon's `language`."""
    attempt = server.open_attempt
    return ServerView(
        name=config.name,
        url=config.url,
        group=config.group,
        state=server.state,
        since=server.since,
        reason=server.reason,
        message=worded(server.message, language),
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
