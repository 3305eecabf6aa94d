"""Turns transitions and notices into journal entries."""

from collections.abc import Callable

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import Transition, entry_of, notice_entry
from statemachine.core.messages import Language
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Notice
from statemachine.journal.port import JournalPort


class Recorder:
    """Append to the journal what happened. `now` returns the wall clock in epoch seconds."""

    def __init__(self, journal: JournalPort, now: Callable[[], float], language: Language = "en") -> None:
        self._journal = journal
        self._now = now
        self._language = language

    def transition(self, transition: Transition, view: ServerView, attempt: Attempt | None) -> None:
        """Record a transition, with the server's line after it and the attempt if that changed too."""
        self._journal.append(entry_of(transition, view.group), attempt, view)

    def attempt(self, attempt: Attempt) -> None:
        """Record a change of an attempt that made no transition."""
        self._journal.append(None, attempt)

    def notice(self, notice: Notice, detail: str = "") -> None:
        """Record a notice; `detail` completes its sentence."""
        self._journal.append(notice_entry(notice, self._now(), self._language, detail), None)

    def journal_health(self, healthy: bool) -> None:
        """Record that the journal can no longer be written, or can be again."""
        self.notice(Notice.JOURNAL_AVAILABLE if healthy else Notice.JOURNAL_UNAVAILABLE)
