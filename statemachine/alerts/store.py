"""What has been told, kept in the journal over a restart."""

from collections.abc import Sequence
from typing import Protocol

from statemachine.alerts.alert import Alert
from statemachine.alerts.incidents import SentAlert
from statemachine.core.vocabulary import State
from statemachine.journal.port import JournalPort
from statemachine.journal.rows import SentAlertRow, message_of, message_row


class Memory(Protocol):
    """Raises JournalUnavailableError where it cannot be read or written."""

    async def load(self) -> list[SentAlert]:
        """What was saved last."""
        ...

    async def save(self, told: Sequence[SentAlert]) -> None:
        """Remember these, and nothing else."""
        ...


class JournalAlertStore:
    """In the journal's file."""

    def __init__(self, journal: JournalPort) -> None:
        self._journal = journal

    async def load(self) -> list[SentAlert]:
        """See Memory."""
        return [_told(row) for row in await self._journal.file.sent_alerts()]

    async def save(self, told: Sequence[SentAlert]) -> None:
        """See Memory."""
        rows = [_row(one) for one in told]
        await self._journal.file.save_sent_alerts(rows)


def _told(row: SentAlertRow) -> SentAlert:
    state = State(row.state) if row.state is not None else None
    trouble = Alert(row.subject, row.reason, row.since, message_of(row._asdict()), state, row.group, row.url)
    return SentAlert(row.rule, row.incident, trouble)


def _row(told: SentAlert) -> SentAlertRow:
    trouble = told.trouble
    text, code, params = message_row(trouble.message)
    return SentAlertRow(
        rule=told.rule,
        subject=trouble.subject,
        incident=told.incident,
        since=trouble.since,
        state=trouble.state.value if trouble.state else None,
        reason=trouble.reason,
        group=trouble.group,
        url=trouble.url,
        message=text,
        message_code=code,
        message_params=params,
    )
