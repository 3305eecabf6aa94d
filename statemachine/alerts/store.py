"""Save the sent alerts in the journal, so that they survive a restart."""

from collections.abc import Sequence
from typing import Protocol

from typing_extensions import override

from statemachine.alerts.alert import Alert
from statemachine.alerts.incidents import SentAlert
from statemachine.core.vocabulary import State
from statemachine.journal.port import JournalPort
from statemachine.journal.rows import SentAlertRow, message_of, message_row


class AlertStore(Protocol):
    """Methods raise JournalUnavailableError if the store cannot be read or written."""

    async def load(self) -> list[SentAlert]:
        """Return what was saved last."""
        ...

    async def save(self, sent: Sequence[SentAlert]) -> None:
        """Replace what was saved."""
        ...


class JournalAlertStore(AlertStore):
    """Saves the alerts in the journal's file."""

    def __init__(self, journal: JournalPort) -> None:
        self._journal = journal

    @override
    async def load(self) -> list[SentAlert]:
        return [_from_row(row) for row in await self._journal.file.sent_alerts()]

    @override
    async def save(self, sent: Sequence[SentAlert]) -> None:
        await self._journal.file.save_sent_alerts([_to_row(one) for one in sent])


def _from_row(row: SentAlertRow) -> SentAlert:
    state = State(row.state) if row.state is not None else None
    alert = Alert(row.subject, row.reason, row.since, message_of(row._asdict()), state, row.group, row.url)
    return SentAlert(row.rule, row.incident, alert)


def _to_row(sent: SentAlert) -> SentAlertRow:
    alert = sent.alert
    text, code, params = message_row(alert.message)
    return SentAlertRow(
        rule=sent.rule,
        subject=alert.subject,
        incident=sent.incident,
        since=alert.since,
        state=alert.state.value if alert.state else None,
        reason=alert.reason,
        group=alert.group,
        url=alert.url,
        message=text,
        message_code=code,
        message_params=params,
    )
