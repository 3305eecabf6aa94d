"""Messages as sentences."""

import re

from typing_extensions import override

from statemachine.core.messages import Message, Param, verbatim
from statemachine.i18n.catalogue import MESSAGES
from statemachine.i18n.text import Language

PLACE = re.compile(r"\{(\w+)\}")
LIST_SEPARATORS = {"en": ", ", "zh": "、"}


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
