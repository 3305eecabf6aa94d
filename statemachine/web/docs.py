"""GET /docs: what the page's words mean, and where the API is described; of the running version."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from aiohttp import web
from jinja2 import Environment

from statemachine.i18n.page_parts import DOCS
from statemachine.i18n.reasons import NOTICE_MEANINGS, NOTICES, REASON_MEANINGS, REASONS
from statemachine.i18n.states import STATE_MEANINGS, STATES
from statemachine.i18n.text import Language, Text
from statemachine.version import version
from statemachine.web.route import LANGUAGE, ApiResponse, Route, requested_language

Word = TypeVar("Word", bound=Enum)


def _rows(names: Mapping[Word, Text], meanings: Mapping[Word, Text]) -> list[tuple[str, Text, Text]]:
    """Return code, name and meaning of each word."""
    return [(word.value, names[word], meaning) for word, meaning in meanings.items()]


TABLES = {
    "states": _rows(STATES, STATE_MEANINGS),
    "reasons": _rows(REASONS, REASON_MEANINGS),
    "notices": _rows(NOTICES, NOTICE_MEANINGS),
}


class DocsHandler:
    """Handle GET /docs. `language` is used if the browser accepts neither English nor Chinese."""

    def __init__(self, environment: Environment, language: Language) -> None:
        self._template = environment.get_template("docs.html")
        self._language = language

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        html = ApiResponse(200, "A page", media_type="text/html")
        summary = "Get the meanings of states, reasons and notices"
        return [Route("GET", "/docs", self.handle, summary, (html,), (LANGUAGE,))]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /docs."""
        language = requested_language(request, self._language)
        html = self._template.render(
            language=language,
            t={key: text.in_language(language) for key, text in DOCS.items()},
            tables=TABLES,
            version=version(),
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language", "Cache-Control": "no-store"}
        return web.Response(text=html, content_type="text/html", headers=headers)
