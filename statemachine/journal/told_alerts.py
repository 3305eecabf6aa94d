"""How alerts that have been told stand in the journal's rows, so that a restart does not tell them again."""

from typing import NamedTuple

INSERT_TOLD_ALERT = "INSERT INTO told_alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class ToldAlert(NamedTuple):
    """A row. `subject` is a server's name, or a notice's with `#` before it; `since` is epoch seconds."""

    rule: str
    subject: str
    incident: str
    since: float
    state: str | None
    reason: str
    group: str | None
    url: str
    message: str
