"""What a server waits for and until when, as text."""

from datetime import datetime

from statemachine.cli.wording import message_text
from statemachine.client import ServerAnswer
from statemachine.core.messages import message, one_line, verbatim
from statemachine.i18n.render import render
from statemachine.i18n.text import Language


def waiting_text(server: ServerAnswer, now: str, language: Language) -> str:
    """Return what a server of /api/status waits for, with the time. `now` is the daemon's time."""
    what = one_line(message_text(server, language, "waiting_for"))
    next_action_at = server.get("next_action_at")
    if not what or next_action_at is None:
        return what
    at, present = datetime.fromisoformat(next_action_at), datetime.fromisoformat(now)
    if server.get("next_action_at_most"):
        said = message("cli.wait_at_most", what=verbatim(what), time=_clock(at, present))
    elif at <= present:
        said = message("cli.wait_due", what=verbatim(what))
    else:
        said = message("cli.wait_in", what=verbatim(what), duration=_duration((at - present).total_seconds(), language))
    return render(said, language)


def _clock(at: datetime, present: datetime) -> str:
    """Return the time of day here, with the date unless it is today."""
    here = at.astimezone()
    is_today = here.date() == present.astimezone().date()
    return here.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def _duration(seconds: float, language: Language) -> str:
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return render(message("cli.seconds", count=f"{seconds:.0f}"), language)
    return render(message("cli.minutes", count=f"{seconds / 60:.0f}"), language)
