"""Turn transitions and notices into journal entries."""

from collections.abc import Callable

from statemachine.core.log_entry import Transition, entry_of, notice_entry, notice_message
from statemachine.core.messages import Message
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt, Server, ServerView
from statemachine.core.vocabulary import Notice
from statemachine.i18n.render import worded
from statemachine.i18n.text import Language
from statemachine.journal.port import JournalPort


class Recorder:
    """Appends to the journal. `now` returns epoch seconds."""

    def __init__(self, journal: JournalPort, now: Callable[[], float], language: Language = "en") -> None:
        self._journal = journal
        self._now = now
        self._language = language

    def transition(self, transition: Transition, view: ServerView, attempt: Attempt | None) -> None:
        """Record a transition, the server's view after it, and the attempt if it changed too."""
        message = worded(transition.message, self._language)
        if view.pause is not None:
            self._journal.save_pause(view.name, view.pause)
        self._journal.append(entry_of(transition, view.group, message), attempt and self._worded(attempt), view)

    def attempt(self, attempt: Attempt) -> None:
        """Record a change of an attempt without a transition."""
        self._journal.append(None, self._worded(attempt))

    def streak(self, server: Server) -> None:
        """Record the server's failures in a row."""
        self._journal.save_streak(server.name, server.streak)

    def restart(self, restart: Restart) -> None:
        """Record how far the server's restart is."""
        self._journal.save_restart(restart)

    def notice(self, notice: Notice, detail: Message | str = "") -> None:
        """Record a notice. `detail` completes its sentence."""
        message = worded(notice_message(notice, detail), self._language)
        self._journal.append(notice_entry(notice, self._now(), message), None)

    def journal_health(self, healthy: bool) -> None:
        """Record that the journal cannot be written, and why, or can be written again."""
        if healthy:
            self.notice(Notice.JOURNAL_AVAILABLE)
        else:
            self.notice(Notice.JOURNAL_UNAVAILABLE, self._journal.trouble)

    def _worded(self, attempt: Attempt) -> Attempt:
        attempt.message = worded(attempt.message, self._language)
        return attempt
