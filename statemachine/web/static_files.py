"""GET /static/…: the files of the page. Other names are refused before the file system is asked."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from statemachine.web.page import static_files


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
