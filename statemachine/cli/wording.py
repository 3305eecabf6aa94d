"""States, reasons, headings and messages of the API in the reader's language."""

import codecs
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from rich.text import Text

from statemachine.cli.encoding import readable
from statemachine.core.messages import message, message_from, one_line
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.i18n.reasons import NOTICES, REASONS
from statemachine.i18n.render import render
from statemachine.i18n.states import STATES
from statemachine.i18n.text import LANGUAGES, Language, locale_language
from statemachine.settings import Settings
from statemachine.settings.files import read_limited
from statemachine.settings.load import MAX_BYTES

STYLES = {
    State.UNKNOWN: "dim",
    State.CHECKING: "cyan",
    State.LOADED: "green",
    State.COLD: "yellow",
    State.AUTO_EXECUTING: "blue",
    State.SUBMITTING: "magenta",
    State.WARMING: "magenta",
    State.UNREACHABLE: "red",
    State.FAILED: "bold red",
    State.PAUSED: "dim",
    State.DRAINING: "cyan",
    State.RESTARTING: "magenta",
}


def reader_language(settings: Settings) -> Language:
    """Return the language of the settings, or the locale's if it is not set; English if the locale cannot show it."""
    return readable(settings.language if "language" in settings.model_fields_set else locale_language(os.environ))


def language_of_file(path: Path) -> Language:
    """Return the same for a settings file that may be missing or invalid."""
    try:
        written = orjson.loads(read_limited(path, MAX_BYTES).removeprefix(codecs.BOM_UTF8))["language"]
    except (OSError, ValueError, LookupError, TypeError):
        written = None
    return readable(next((one for one in LANGUAGES if one == written), locale_language(os.environ)))


def state_text(value: str, language: Language) -> Text:
    """Return a state of the API. English keeps the public name; unknown states are kept, too."""
    try:
        state = State(value)
    except ValueError:
        return Text(one_line(value))
    return Text(STATES[state].zh if language == "zh" else value, style=STYLES[state])


def reason_text(value: str, language: Language) -> str:
    """Return a reason code or a notice of the API. English keeps the public name."""
    if language == "en":
        return one_line(value)
    if value in set(Reason):
        return REASONS[Reason(value)].zh
    return NOTICES[Notice(value)].zh if value in set(Notice) else one_line(value)


def heading(name: str, language: Language) -> str:
    """Return a column's heading."""
    return render(message(f"cli.heading.{name}"), language)


def message_text(entry: Mapping[str, Any], language: Language, field: str = "message") -> str:
    """Return a message of an entry or a server of the API; "" if the daemon is older and has no such field."""
    text = str(entry.get(field, ""))
    try:
        return render(message_from(entry.get(f"{field}_code"), entry.get(f"{field}_params"), text), language)
    except ValueError:
        return text
