"""What the doctor reports: findings with a mark and advice."""

from dataclasses import dataclass
from enum import Enum

from rich.text import Text

from statemachine.core.messages import Message, Param, one_line
from statemachine.i18n.render import render
from statemachine.i18n.text import Language


class Mark(Enum):
    """The sign before a finding. Only BAD makes the doctor fail."""

    GOOD = ("✓", "green")
    BAD = ("✗", "red")
    CARE = ("!", "yellow")


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, and what to do about it."""

    mark: Mark
    what: Message
    advice: Message | None = None


def good(code: str, /, **params: Param) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Mark.GOOD, Message(code, params))


def bad(code: str, advice: str = "", /, **params: Param) -> Finding:
    """Return a finding that keeps comfywarm from working."""
    return Finding(Mark.BAD, Message(code, params), Message(advice, params) if advice else None)


def care(code: str, advice: str = "", /, **params: Param) -> Finding:
    """Return a finding that works but that the operator should know."""
    return Finding(Mark.CARE, Message(code, params), Message(advice, params) if advice else None)


def line(finding: Finding, language: Language) -> Text:
    """Return the finding with its mark and its advice."""
    sign, style = finding.mark.value
    text = Text.assemble((f"  {sign} ", style), one_line(render(finding.what, language)))
    if finding.advice is not None:
        text.append(f"\n      → {one_line(render(finding.advice, language))}", style="dim")
    return text
