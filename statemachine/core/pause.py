"""A pause of a server: until when, why, and who asked for it."""

from datetime import UTC, datetime
from typing import NamedTuple, cast

from statemachine.core.messages import Message, message

LONGEST_NOTE = 200
"""Characters of a note."""


class PauseTerms(NamedTuple):
    """When the pause ends by itself (epoch seconds), None for never, and the operator's note."""

    until: float | None = None
    note: str = ""


class Pause(NamedTuple):
    """The terms of a pause, and the name of the client that asked for it, if it has one."""

    until: float | None = None
    note: str = ""
    by: str | None = None

    @property
    def terms(self) -> PauseTerms:
        """The terms alone."""
        return PauseTerms(self.until, self.note)

    def described(self, what: Message) -> Message:
        """Return a message about the pause, with its end and its note."""
        if self.until is not None:
            what = message("paused_until", what=what, until=_utc(self.until), until_at=self.until)
        return message("paused_note", what=what, note=self.note) if self.note else what


NO_TERMS = PauseTerms()
NO_PAUSE = Pause()


def described_pause(described: Message) -> Pause:
    """Return the pause that a message of `described` is about, with the client that it names."""
    pause, what = NO_PAUSE, cast("object", described)
    while isinstance(what, Message):
        params = what.params
        match what.code:
            case "requested_by":
                pause = pause._replace(by=str(params.get("by")))
            case "paused_note":
                pause = pause._replace(note=str(params.get("note")))
            case "paused_until" if isinstance(until := params.get("until_at"), int | float):
                pause = pause._replace(until=float(until))
        what = params.get("what")
    return pause


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
