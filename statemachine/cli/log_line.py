"""An entry of the event log as one line: for people, or as JSON."""

from collections.abc import Iterable
from datetime import datetime

import orjson
from rich.cells import cell_len
from rich.text import Text

from statemachine.cli.api_client import Json
from statemachine.cli.words import heading, reason_text, state_text
from statemachine.core.log_filter import STATE_NAMES
from statemachine.core.text import one_line
from statemachine.i18n.names import Language

ARROW = " → "
MAX_NAME_WIDTH = 40
"""Terminal cells; a longer name moves only its own line."""


class LineMaker:
    """Aligns the lines for servers of these names."""

    def __init__(self, language: Language, names: Iterable[str]) -> None:
        self._language = language
        self._name_width = min(max(map(cell_len, names), default=0), MAX_NAME_WIDTH)
        self._state_width = max(state_text(name, language).cell_len for name in STATE_NAMES)

    def line(self, entry: Json) -> Text:
        """When (local time), who, what, why."""
        name = one_line(entry["server"] or "-")
        when = datetime.fromisoformat(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return Text.assemble(
            (when, "dim"),
            f"  {name}{_padding(cell_len(name), self._name_width)}  ",
            *self._what(entry),
            "  ",
            (reason_text(entry["reason"], self._language), "bold"),
            f"  {one_line(entry['message'])}",
        )

    def _what(self, entry: Json) -> tuple[Text | str, ...]:
        """From one state to another, with the arrows below one another."""
        if not entry["to"]:
            notice = Text(heading("notice", self._language), style="bold yellow")
            return notice, _padding(notice.cell_len, 2 * self._state_width + len(ARROW))
        source = state_text(entry["from"], self._language) if entry["from"] else Text("-")
        dest = state_text(entry["to"], self._language)
        before, after = (_padding(state.cell_len, self._state_width) for state in (source, dest))
        return before, source, ARROW, dest, after


def json_line(entry: Json) -> bytes:
    """The entry as the API's users know it, on one line. JSON is UTF-8 (RFC 8259, section 8.1)."""
    return orjson.dumps(entry)


def _padding(width: int, wanted: int) -> str:
    return " " * max(0, wanted - width)
