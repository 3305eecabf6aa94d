"""Every message code with its text, and what the page's script is given."""

from collections.abc import Mapping
from typing import Any

from statemachine.i18n.alerts import ALERTS
from statemachine.i18n.cli import CLI
from statemachine.i18n.discovery import DISCOVERY
from statemachine.i18n.doctor import DOCTOR
from statemachine.i18n.help import HELP
from statemachine.i18n.messages import DAEMON, GENERAL, REQUESTS, TRANSITIONS, WARM_UPS
from statemachine.i18n.page import LABELS
from statemachine.i18n.reasons import NOTICE_MEANINGS, NOTICES, REASON_MEANINGS, REASONS
from statemachine.i18n.restarts import RESTARTS
from statemachine.i18n.rollouts import ROLLOUTS
from statemachine.i18n.routing import ROUTING
from statemachine.i18n.server_flags import SERVER_FLAGS
from statemachine.i18n.settings import SETTINGS
from statemachine.i18n.states import OUTCOMES, SOURCES, STATES
from statemachine.i18n.text import LANGUAGES, Language, Text
from statemachine.i18n.waits import WAITS
from statemachine.i18n.workflows import WORKFLOWS

PUBLISHED: Mapping[str, Text] = {
    **GENERAL,
    **TRANSITIONS,
    **WARM_UPS,
    **REQUESTS,
    **WORKFLOWS,
    **ROUTING,
    **RESTARTS,
    **ROLLOUTS,
    **DAEMON,
    **DISCOVERY,
    **WAITS,
    **SETTINGS,
    **{f"reason.{reason.value}": text for reason, text in REASON_MEANINGS.items()},
    **{f"notice.{notice.value}": text for notice, text in NOTICE_MEANINGS.items()},
}
"""The messages that reach the page and the journal."""

MESSAGES: Mapping[str, Text] = {**PUBLISHED, **ALERTS, **CLI, **DOCTOR, **SERVER_FLAGS, **HELP}
"""Every message."""


def page_texts() -> dict[Language, dict[str, dict[str, str]]]:
    """Return the page's texts: language, then group (`state`, `reason`, …, `label`, `message`), then key."""
    groups: dict[str, Mapping[Any, Text]] = {
        "state": STATES,
        "reason": REASONS,
        "notice": NOTICES,
        "source": SOURCES,
        "outcome": OUTCOMES,
        "label": LABELS,
        "message": PUBLISHED,
    }
    return {
        language: {
            group: {getattr(key, "value", key): text.in_language(language) for key, text in texts.items()}
            for group, texts in groups.items()
        }
        for language in LANGUAGES
    }
