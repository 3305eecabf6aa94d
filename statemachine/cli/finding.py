"""What the doctor finds: one line each, with what to do about it."""

from dataclasses import dataclass
from enum import Enum

from rich.text import Text

from statemachine.cli.say import Say
from statemachine.core.text import one_line


class Mark(Enum):
    """The sign before the line. Only BAD is a "no"."""

    GOOD = ("✓", "green")
    BAD = ("✗", "red")
    CARE = ("!", "yellow")


@dataclass(frozen=True, slots=True)
class Finding:
    """`said` is a key of `doctor_words.ZH` with its values; so is `advice`, where there is any."""

    mark: Mark
    said: Say
    advice: Say | None = None


def good(english: str, /, **values: object) -> Finding:
    """All is well."""
    return Finding(Mark.GOOD, Say(english, values))


def bad(english: str, advice: str = "", /, **values: object) -> Finding:
    """comfywarm cannot work so."""
    return Finding(Mark.BAD, Say(english, values), Say(advice, values) if advice else None)


def care(english: str, advice: str = "", /, **values: object) -> Finding:
    """It works, but somebody should know."""
    return Finding(Mark.CARE, Say(english, values), Say(advice, values) if advice else None)


def line(finding: Finding, language: str) -> Text:
    """For people."""
    sign, style = finding.mark.value
    text = Text.assemble((f"  {sign} ", style), one_line(finding.said.in_language(language)))
    if finding.advice is not None:
        text.append(f"\n      → {one_line(finding.advice.in_language(language))}", style="dim")
    return text
