"""The active alerts and what silences them, as JSON for the page and the API."""

from collections.abc import Iterable
from typing import NamedTuple

from statemachine.alerts.alert import Alert
from statemachine.core.vocabulary import State
from statemachine.publish.serialize import Json, message_fields, rfc3339
from statemachine.settings.maintenance import MaintenanceWindow, silenced_by

MOST_LISTED = 500
"""Alerts in an answer, the oldest ones."""


class ActiveAlert(NamedTuple):
    """An alert of a rule. `is_announced`: it was sent; otherwise it waits for others or for a window to end."""

    rule: str
    alert: Alert
    is_announced: bool


def alert_overview(active: Iterable[ActiveAlert], windows: tuple[MaintenanceWindow, ...], at: float) -> Json:
    """Return the active alerts, oldest first, and the maintenance windows."""
    alerts = sorted(active, key=lambda one: (not one.is_announced, one.alert.since, one.alert.subject, one.rule))
    return {
        "total": len(alerts),
        "alerts": [_alert(one, windows, at) for one in alerts[:MOST_LISTED]],
        "windows": [_window(one, at) for one in windows],
    }


def _alert(one: ActiveAlert, windows: tuple[MaintenanceWindow, ...], at: float) -> Json:
    alert, silence = one.alert, silenced_by(windows, one.alert.group, at)
    state: State | None = alert.state
    return {
        "rule": one.rule,
        "server": alert.subject if state is not None else None,
        "group": alert.group,
        "state": state.value if state is not None else None,
        "reason": alert.reason,
        "since": rfc3339(alert.since),
        "announced": one.is_announced,
        "silenced_by": silence.name if silence is not None else None,
        "silenced_until": rfc3339(silence.end_at(at)) if silence is not None else None,
        **message_fields(alert.message),
    }


def _window(window: MaintenanceWindow, at: float) -> Json:
    return {
        "name": window.name,
        "cron": window.cron,
        "days": list(window.days),
        "at": window.at,
        "duration": window.duration,
        "zone": window.zone,
        "groups": list(window.groups),
        "open_until": rfc3339(window.end_at(at)),
        "next_start": rfc3339(window.next_start(at)),
    }
