"""The publisher, which passes each change to the snapshot, then the bus, then the program's log."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial

from loguru import logger

from statemachine.core.levels import Level
from statemachine.core.log_entry import LogEntry
from statemachine.core.restart import Restart
from statemachine.core.server import LiveFigures, Server, ServerView
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.i18n.render import sentence, worded
from statemachine.i18n.text import Language
from statemachine.publish.bus import Bus
from statemachine.publish.serialize import entry_message
from statemachine.publish.snapshot import ServerDetail, Snapshot
from statemachine.settings.servers import ServerConfig

BAD = frozenset({State.FAILED, State.UNREACHABLE})
PASSING = frozenset({State.UNKNOWN, State.CHECKING, State.SUBMITTING})
"""Short-lived states on the way to a verdict."""


ROUTINE_NOTICES = frozenset({Notice.DISCOVERY_CHANGED, Notice.SETTINGS_RELOADED})
"""Notices that report no trouble."""


class TransitionLog:
    """Logs transitions and remembers the last logged verdict of each server."""

    def __init__(self) -> None:
        self._verdicts: dict[str, tuple[State | None, str]] = {}
        self._failing: set[str] = set()

    def write(self, entry: LogEntry) -> None:
        """Log an entry at the level of its importance."""
        logger.bind(seq=entry.seq).log(self._level(entry), "{}", _line(entry))

    def keep_only(self, names: Collection[str]) -> None:
        """Forget the verdicts of all other servers."""
        self._verdicts = {name: verdict for name, verdict in self._verdicts.items() if name in names}
        self._failing.intersection_update(names)

    def _level(self, entry: LogEntry) -> str:
        if entry.server is None:
            return "INFO" if entry.reason in ROUTINE_NOTICES else "WARNING"
        bad = entry.dest in BAD or entry.reason in (Reason.CHECK_UNRECOGNISED, Reason.RATE_LIMITED)
        if entry.dest in PASSING and not bad:
            routine = entry.reason in (Reason.CHECK_STARTED, Reason.FOREIGN_WORK_FINISHED)
            return "DEBUG" if routine or entry.server in self._failing else "INFO"
        return self._verdict_level(entry.server, (entry.dest, entry.reason), bad=bad)

    def _verdict_level(self, server: str, verdict: tuple[State | None, str], *, bad: bool) -> str:
        if bad:
            known, self._verdicts[server] = self._verdicts.get(server), verdict
            self._failing.add(server)
            return "DEBUG" if known == verdict else "WARNING"
        if server in self._failing and verdict[0] is not State.LOADED:
            return "DEBUG"
        known, self._verdicts[server] = self._verdicts.get(server), verdict
        self._failing.discard(server)
        return "DEBUG" if known == verdict else "INFO"


def _line(entry: LogEntry) -> str:
    """Return the line of a transition, or of a notice, which may have neither a server nor states."""
    if entry.server is None and entry.source is None and entry.dest is None:
        return f"notice ({entry.reason}) {sentence(entry.message)}"
    source = entry.source.value if entry.source else "-"
    dest = entry.dest.value if entry.dest else "-"
    return f"{entry.server or '-'}: {source} -> {dest} ({entry.reason}) {sentence(entry.message)}"


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

    def is_restarting(self, group: str) -> bool:
        """Return whether a server of the group is being restarted, by any daemon."""
        return self._snapshot.is_restarting(group)

    def is_host_restarting(self, host: str) -> bool:
        """Return whether a server of the host is being restarted, by any daemon."""
        return self._snapshot.is_host_restarting(host)

    def restarts(self, group: str) -> Iterator[Restart]:
        """Yield the latest restart of each server of the group that was restarted, by any daemon."""
        return self._snapshot.restarts(group)

    def set_order(self, names: Sequence[str]) -> None:
        """Keep only these servers, in this order."""
        self._snapshot.set_order(names)
        self._log.keep_only(frozenset(names))

    def on_committed(self, entry: LogEntry, view: ServerView | None) -> None:
        """Publish a committed entry. `view` is the server's view after it, None for a notice."""
        if view is not None and self._snapshot.get(view.name) is not None:  # it may have been removed since
            view = self._snapshot.put_committed(view)
        self._bus.publish(entry_message(entry, view))
        self._log.write(entry)

    def progress(self, server: Server) -> None:
        """Publish live figures if they changed visibly. They are not transitions and are not stored."""
        live = _live(server)
        if self._snapshot.update(server.name, server.state, server.since, live):
            self._bus.publish_live(server.name, partial(self._snapshot.get, server.name))

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
        next_action_at=server.waiting.until,
        workflows=config.workflows,
        levels=_levels(server),
        waiting_for=worded(server.waiting.what, language),
        next_action_at_most=server.waiting.at_most,
        pause=server.pause if server.state is State.PAUSED else None,
        restart=server.restart,
    )


def _live(server: Server) -> LiveFigures:
    """Return the figures that change without a transition."""
    return LiveFigures(_progress(server), server.queue_remaining, server.last_check, _levels(server), *server.waiting)


def _levels(server: Server) -> Mapping[str, Level] | None:
    """Return where the models of the server's keys are, None if nothing observes it."""
    return None if server.places is None else {key: place.level for key, place in server.places.items()}


def _progress(server: Server) -> float | None:
    attempt = server.open_attempt if server.state is State.WARMING else None
    return round(attempt.progress, 2) if attempt is not None else None
