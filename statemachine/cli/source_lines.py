"""The lines of `status` about sources of servers that are in trouble."""

from collections.abc import Iterable, Iterator

from rich.text import Text

from statemachine.cli.wording import message_text
from statemachine.client.answers import SourceAnswer
from statemachine.core.messages import Message, joined, message, one_line, verbatim
from statemachine.i18n.render import render
from statemachine.i18n.text import Language

MOST_REFUSALS = 2
"""Reasons for refusals that are shown of one source; the page shows more."""


def source_lines(sources: Iterable[SourceAnswer], language: Language) -> list[Text]:
    """Return a line for each source in trouble: what is wrong, and what helps."""
    return [_line(one, said, language) for one in sources if (said := list(_troubles(one, language)))]


def _line(source: SourceAnswer, said: list[Message], language: Language) -> Text:
    line = message("cli.source", name=source["name"], kind=source["kind"], what=joined(said))
    return Text(one_line(render(line, language)), style="red" if source["failures"] else "yellow")


def _troubles(source: SourceAnswer, language: Language) -> Iterator[Message]:
    if source["error"] is not None:
        why = verbatim(message_text(source, language, "error"))
        yield message("cli.source.fails", why=why, count=source["failures"])
    if source.get("held") is not None:
        yield message("cli.source.held", why=verbatim(message_text(source, language, "held")))
    if refusals := source.get("refusals"):
        shown = [verbatim(message_text(one, language)) for one in refusals[:MOST_REFUSALS]]
        more = source.get("refused_total", len(refusals)) - len(shown)
        yield message("cli.source.refused", why=joined(shown, more=more))
