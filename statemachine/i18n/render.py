"""Every message code with its text, messages as sentences, and what the page's script is given."""

import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from statemachine.core.messages import Message, Param, verbatim
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
from statemachine.i18n.states import OUTCOMES, SOURCES, STATES, WAITS
from statemachine.i18n.text import LANGUAGES, Language, Text
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

PLACE = re.compile(r"\{(\w+)\}")
LIST_SEPARATORS = {"en": ", ", "zh": "、"}


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


def render(message: Message, language: Language) -> str:
    """Return the sentence in this language, or the message's own `text` where a code or a parameter is unknown."""
    try:
        return _fill(message, language)
    except LookupError:
        return message.text


def worded(message: Message, language: Language) -> Message:
    """Return the message with its sentence in the daemon's language; one that has a sentence already is returned."""
    return message if message.text or not message.code else message.with_text(render(message, language))


def sentence(message: Message) -> str:
    """Return the sentence in the daemon's language, English where it has not been worded."""
    return message.text or render(message, "en")


def _fill(message: Message, language: Language) -> str:
    template = MESSAGES[message.code].in_language(language)
    if "{" not in template:
        return template
    return PLACE.sub(lambda place: _param_text(message.params[place[1]], language), template)


def _param_text(param: Param, language: Language) -> str:
    if isinstance(param, str):
        return param
    if isinstance(param, Message):
        return _fill(param, language)
    if isinstance(param, float):
        return f"{param:g}"
    if isinstance(param, int):
        return str(param)
    return LIST_SEPARATORS[language].join([_param_text(one, language) for one in param])


class MessageError(Exception):
    """An error for people. `str()` renders its message in English; a plain text is kept verbatim."""

    def __init__(self, what: Message | str) -> None:
        super().__init__(what)
        self.message = verbatim(what) if isinstance(what, str) else what

    @override
    def __str__(self) -> str:
        return render(self.message, "en")
