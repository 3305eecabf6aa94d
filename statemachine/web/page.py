"""GET /status: the page for people. The server renders the words, and the page's own modules the fleet."""

import sqlite3
from pathlib import Path

from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined

from statemachine.core.vocabulary import State
from statemachine.i18n.names import LANGUAGES, Language, all_texts
from statemachine.journal.store import JournalStore
from statemachine.web.icons import SHAPES
from statemachine.web.ports import WebPorts

STATIC_DIR = Path(__file__).with_name("static")
LOG_ENTRIES = 100
"""How far back the page's event log begins."""

SORTS = {"server": "name", "state": "state", "since": "since", "queue": "queue", "last_check": "last_check"}
"""Column → what its button sorts by."""

CLASSIC_SCRIPTS = frozenset({"ui/theme_boot.js"})
"""Scripts that run before the first paint, which a module cannot do."""

DISPLAY_ORDER = (
    State.LOADED,
    State.WARMING,
    State.SUBMITTING,
    State.AUTO_EXECUTING,
    State.CHECKING,
    State.COLD,
    State.UNKNOWN,
    State.UNREACHABLE,
    State.FAILED,
    State.PAUSED,
)
"""From well to ill, with the operator's own choice last."""


class Page:
    """The route's handler."""

    def __init__(self, ports: WebPorts, language: Language) -> None:
        self._ports = ports
        self._language = language
        self._texts = all_texts()
        environment = Environment(
            loader=PackageLoader("statemachine.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._template = environment.get_template("status.html")
        self._fixed = {
            "texts": self._texts,
            "states": DISPLAY_ORDER,
            "shapes": SHAPES,
            "sorts": SORTS,
            "sheets": static_files(".css"),
            # Preloaded: the browser would otherwise discover each module only after parsing its importer.
            "modules": [name for name in static_files(".js") if name not in CLASSIC_SCRIPTS],
        }

    async def redirect(self, request: web.Request) -> web.Response:
        """GET /. Relative, so that it also works behind a proxy that adds a path."""
        query = f"?{request.query_string}" if request.query_string else ""
        return web.Response(status=302, headers={"Location": f"status{query}"})

    async def handle(self, request: web.Request) -> web.Response:
        """GET /status."""
        language = wanted_language(request, self._language)
        html = self._template.render(
            language=language,
            t=self._texts[language]["label"],
            **self._fixed,
            since=await self._log_begin(),
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language", "Cache-Control": "no-store"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def _log_begin(self) -> int | None:
        """The number after which the page's log begins; None where the journal cannot be read."""
        try:
            head = await self._ports.journal.read(JournalStore.last_seq)
        except sqlite3.Error:
            return None
        return max(0, head - LOG_ENTRIES)


def static_files(suffix: str) -> list[str]:
    """Return the files of the page with that suffix, as paths below /static/, sorted."""
    return sorted(path.relative_to(STATIC_DIR).as_posix() for path in STATIC_DIR.rglob(f"*{suffix}"))


def wanted_language(request: web.Request, default: Language) -> Language:
    """`?lang=`, else the best that Accept-Language names, else the default."""
    asked = request.query.get("lang", "")
    accepted = _by_quality(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    for tag in (asked, *accepted):
        for language in LANGUAGES:
            if tag.lower().split("-")[0] == language:
                return language
    return default


def _by_quality(header: str) -> list[str]:
    """The language tags of an Accept-Language header (RFC 9110, section 12.5.4), best first; q=0 refuses."""
    ranked = [_tag_and_quality(part) for part in header.split(",")]
    ranked.sort(key=lambda pair: -pair[1])
    return [tag for tag, quality in ranked if quality > 0]


def _tag_and_quality(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.partition("=")
    try:
        quality = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return tag.strip(), quality
