"""One text in every language."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
"""In the order in which POSIX asks them; the first that is not empty decides."""


class Text(NamedTuple):
    """One text in each language. `{name}` is a place for the parameter of that name."""

    en: str
    zh: str

    def in_language(self, language: Language) -> str:
        """Return the text in this language."""
        return self.zh if language == "zh" else self.en


def locale_language(environ: Mapping[str, str]) -> Language:
    """Return the language of the locale: Chinese where it is zh, otherwise English."""
    locale = next((environ[name] for name in LOCALE_VARIABLES if environ.get(name)), "")
    return "zh" if locale.startswith("zh") else "en"
