"""Sentences for people, in the language of the settings. The English ones stand where they are said, as the keys."""

from collections.abc import Mapping
from dataclasses import dataclass

from statemachine.cli import doctor_words
from statemachine.i18n import cli

ZH = {**doctor_words.ZH, **cli.ZH}


@dataclass(frozen=True, slots=True)
class Say:
    """A sentence with its values put in; a value may be a sentence itself."""

    english: str
    values: Mapping[str, object]

    def in_language(self, language: str) -> str:
        """One that has no translation is said in English."""
        template = ZH.get(self.english, self.english) if language == "zh" else self.english
        values = {
            name: value.in_language(language) if isinstance(value, Say) else value
            for name, value in self.values.items()
        }
        return template.format(**values)


def say(english: str, language: str, /, **values: object) -> str:
    """The sentence at once."""
    return Say(english, values).in_language(language)
