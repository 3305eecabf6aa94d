"""GET /status: the web page. GET /static/…: its files.

The server renders the labels; the page's own modules render the fleet. Names of other files are refused before the file
system is asked.
"""

from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from jinja2 import Environment

from statemachine.core.rollout import MOST_SERVERS
from statemachine.core.vocabulary import State
from statemachine.i18n.render import page_texts
from statemachine.i18n.text import Language
from statemachine.journal.port import JournalUnavailableError
from statemachine.version import version
from statemachine.web.ports import WebPorts
from statemachine.web.route import LANGUAGE, ApiResponse, Route, requested_language

STATIC_DIR = Path(__file__).with_name("static")
LOG_ENTRIES = 100
"""Number of past entries in the page's event log."""

SORTS = {"server": "name", "state": "state", "since": "since", "queue": "queue", "last_check": "last_check"}
"""Sort key of each column that can be sorted."""

CLASSIC_SCRIPTS = frozenset({"ui/theme_boot.js"})
"""Scripts that run before the first paint, which a module cannot do."""

DOCS_SHEET = "docs.css"
"""The style sheet of /docs only."""

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
    State.DRAINING,
    State.RESTARTING,
    State.PAUSED,
)
"""States in the order of the page: healthy first, the operator's own choice last."""

_LENS = "M10.8 7a3.8 3.8 0 1 1-7.6 0 3.8 3.8 0 0 1 7.6 0ZM9.8 9.8l3.4 3.4"
_FLAME = "M8 14c-2.6 0-4.4-1.8-4.4-4.2C3.6 6.6 7.4 5.8 7.2 2c2.8 1.2 5.2 4.4 5.2 7.6C12.4 12.2 10.6 14 8 14Z"
_BARS = "M5.6 3.6v8.8M10.4 3.6v8.8"
_TURN = "M12.6 9.8A5 5 0 1 1 11.8 4.6M12.6 2.2v3.2H9.4"
_CROSS = "m4 4 8 8M12 4l-8 8"

ICONS: dict[str, str] = {
    # States, which differ in shape as well as in colour and text
    "unknown": "M5.6 6.2a2.4 2.4 0 1 1 3.5 2.2c-.8.4-1.1.8-1.1 1.6M8 12.4v.1",
    "checking": _LENS,
    "loaded": "m3.2 8.4 3.2 3.2 6.4-7",
    "cold": "M8 2v12M2.8 5l10.4 6M13.2 5 2.8 11",
    "auto_executing": "M13 6.6A5.2 5.2 0 0 0 3.6 5M3 9.4A5.2 5.2 0 0 0 12.4 11M3.4 2.2V5h2.8M12.6 13.8V11H9.8",
    "submitting": "M8 13V3.4M4 7.2l4-4 4 4",
    "warming": _FLAME,
    "unreachable": _CROSS,
    "failed": "M8 2.4 14.4 13.4H1.6ZM8 6.8v2.8M8 11.6v.1",
    "paused": _BARS,
    "draining": "M3 3.4h10L9.4 8v4.6L6.6 11V8Z",
    "restarting": _TURN,
    # Actions and controls
    "check": _LENS,
    "warm": _FLAME,
    "pause": _BARS,
    "restart": _TURN,
    "resume": "M5 3.2v9.6L12.6 8Z",
    "visit": "M7 3.4H3.4v9.2h9.2V9M9.4 2.6h4v4M13.2 2.8 7.6 8.4",
    "copy": "M5.6 5.6h7.8v7.8H5.6ZM10.4 3.4V2.6H2.6v7.8h.8",
    "open": "m6 4 4 4-4 4",
    "close": _CROSS,
    "theme-auto": "M2.4 3.4h11.2v7.2H2.4ZM5.6 13.2h4.8",
    "theme-light": "M10.8 8a2.8 2.8 0 1 1-5.6 0 2.8 2.8 0 0 1 5.6 0ZM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4"
    "M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1",
    "theme-dark": "M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z",
}
"""Icons as SVG paths on a 16 by 16 square. The page draws them in its document, the map on a canvas."""


class PageHandler:
    """Handle the routes of the web page. `language` is used if the browser accepts neither English nor Chinese."""

    def __init__(self, ports: WebPorts, environment: Environment, language: Language) -> None:
        self._ports = ports
        self._language = language
        self._texts = page_texts()
        self._template = environment.get_template("status.html")
        self._fixed = {
            "texts": self._texts,
            "states": DISPLAY_ORDER,
            "shapes": ICONS,
            "sorts": SORTS,
            "most_servers": MOST_SERVERS,
            "version": version(),
            "sheets": [name for name in static_files(".css") if name != DOCS_SHEET],
            # Preloaded, or the browser would discover each module only after parsing its importer.
            "modules": [name for name in static_files(".js") if name not in CLASSIC_SCRIPTS],
        }

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        to_page = ApiResponse(302, "Redirect to /status", media_type=None)
        html = ApiResponse(200, "The live page", media_type="text/html")
        return [
            Route("GET", "/", self.redirect, "Redirect to the page", (to_page,)),
            Route("GET", "/status", self.handle, "Get the page", (html,), (LANGUAGE,)),
        ]

    async def redirect(self, request: web.Request) -> web.Response:
        """Handle GET /. The location is relative, to work behind a proxy that adds a path, and encoded as the URL."""
        query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
        return web.Response(status=302, headers={"Location": f"status{query}"})

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /status."""
        language = requested_language(request, self._language)
        html = self._template.render(
            language=language,
            t=self._texts[language]["label"],
            **self._fixed,
            since=await self._log_begin(),
        )
        headers = {"Content-Language": language, "Vary": "Accept-Language", "Cache-Control": "no-store"}
        return web.Response(text=html, content_type="text/html", headers=headers)

    async def _log_begin(self) -> int | None:
        """Return the id after which the page's log begins, or None if the journal cannot be read."""
        try:
            head = await self._ports.journal.file.last_seq()
        except JournalUnavailableError:
            return None
        return max(0, head - LOG_ENTRIES)


def static_files(suffix: str) -> list[str]:
    """Return the page's files with this suffix as sorted paths below /static/."""
    return sorted(path.relative_to(STATIC_DIR).as_posix() for path in STATIC_DIR.rglob(f"*{suffix}"))


def only_own_files() -> Middleware:
    """Return middleware that answers 404 for a file below /static/ that did not exist at the start."""
    names = frozenset(static_files(".*"))

    @web.middleware
    async def refuse_others(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = request.match_info.get("filename")
        if name is not None and name not in names:
            raise web.HTTPNotFound
        return await handler(request)

    return refuse_others
