"""The application: routes, error answers and security headers."""

from collections.abc import Collection
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from statemachine.i18n.names import Language
from statemachine.web.api import Api
from statemachine.web.groups import Groups
from statemachine.web.log import Log
from statemachine.web.metrics import Metrics
from statemachine.web.origin import only_own_sites
from statemachine.web.page import Page
from statemachine.web.ports import WebPorts
from statemachine.web.responses import errors_as_json
from statemachine.web.routes import route_table
from statemachine.web.stats import Stats
from statemachine.web.status import Status
from statemachine.web.stream import EventStream
from statemachine.web.traffic import Traffic

STATIC_DIR = Path(__file__).with_name("static")
SHUTDOWN_TIMEOUT_S = 5.0

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def build_app(
    ports: WebPorts, *, token: SecretStr | None, language: Language, hosts: Collection[str] = ()
) -> web.Application:
    """The whole web side. `language` is the page's for those whose browser wants neither English nor Chinese.

    `hosts` are the names under which it is reached, beside IP addresses and localhost.
    """
    app = web.Application(middlewares=[errors_as_json, only_own_sites(hosts)])
    stream = EventStream(ports)
    metrics = Metrics(ports, stream)
    reading = (Status(ports), Api(ports, token), Groups(ports, token), Log(ports), Stats(ports))
    for route in route_table(*reading, stream, metrics, Page(ports, language), Traffic(ports)):
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
    app.router.add_static("/static", STATIC_DIR)
    app.on_response_prepare.append(_add_security_headers)
    app.on_shutdown.append(stream.end_all)
    app.cleanup_ctx.append(metrics.watch_loop)
    return app


def build_runner(app: web.Application) -> web.AppRunner:
    """Serves the application without an access log, and gives answers under way a little time at the end."""
    return web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    if isinstance(response, web.FileResponse):
        response.headers["Cache-Control"] = "no-cache"
