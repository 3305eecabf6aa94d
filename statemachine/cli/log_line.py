"""An entry of the event log as one line: for people, or as JSON."""

from datetime import datetime

import orjson
from rich.text import Text

from statemachine.cli.daemon_api import Json
from statemachine.cli.words import heading, reason_text, state_text
from statemachine.web.texts import Language

STATES_WIDTH = len("auto_executing → auto_executing")
MAX_NAME_WIDTH = 40


class LineMaker:
    """Aligns the lines: the column of names grows with the longest name so far."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._name_width = len("127.127.127.127:12345")

    def line(self, entry: Json) -> Text:
        """When (local time), who, what, why."""
        name = entry["server"] or "-"
        self._name_width = min(max(self._name_width, len(name)), MAX_NAME_WIDTH)
        when = datetime.fromisoformat(entry["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        what = self._what(entry)
        padding = " " * max(0, STATES_WIDTH - what.cell_len)
        reason = reason_text(entry["reason"], self._language)
        return Text.assemble(
            (when, "dim"),
            f"  {name:<{self._name_width}}  ",
            what,
            f"{padding}  ",
            (reason, "bold"),
            f"  {_flat(entry)}",
        )

    def _what(self, entry: Json) -> Text:
        if not entry["to"]:
            return Text(heading("notice", self._language), style="bold yellow")
        source = state_text(entry["from"], self._language) if entry["from"] else Text("-")
        return Text.assemble(source, " → ", state_text(entry["to"], self._language))


def json_line(entry: Json) -> str:
    """The entry as the API's users know it, on one line."""
    return orjson.dumps(entry).decode()


def _flat(entry: Json) -> str:
    return " ".join(str(entry["message"]).split())
