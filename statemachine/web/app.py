"""The web application: routes, error responses and security headers.

Its runner also answers requests that aiohttp fails to handle.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage
from jinja2 import Environment, PackageLoader, StrictUndefined
from multidict import CIMultiDict, CIMultiDictProxy
from pydantic import SecretStr
from typing_extensions import override
from yarl import URL

from statemachine.i18n.text import Language
from statemachine.settings.listen import ListenToken
from statemachine.traffic.decisions import DecisionLog
from statemachine.traffic.group_loads import GroupLoads
from statemachine.web.actions import ActionsHandler
from statemachine.web.alerts import AlertsHandler
from statemachine.web.auth import REFUSALS, only_own_sites
from statemachine.web.decision_metrics import DecisionCounters
from statemachine.web.decisions import DecisionsHandler
from statemachine.web.discovery import DiscoveryHandler
from statemachine.web.docs import DocsHandler
from statemachine.web.log import LogHandler
from statemachine.web.metrics import MetricsHandler
from statemachine.web.openapi import openapi_route
from statemachine.web.page import STATIC_DIR, PageHandler, only_own_files
from statemachine.web.ports import WebPorts, loop_time
from statemachine.web.responses import errors_as_json
from statemachine.web.rollouts import RolloutsHandler
from statemachine.web.route import Route, RouteSource
from statemachine.web.route_choice import RouteChoiceHandler
from statemachine.web.servers import ServersHandler
from statemachine.web.stats import StatsHandler
from statemachine.web.status import StatusHandler
from statemachine.web.stream import EventStream
from statemachine.web.tokens import Tokens
from statemachine.web.traffic import TrafficHandler
from statemachine.web.trends import TrendsHandler
from statemachine.web.wanted import WantedCollector, WantedHandler

SHUTDOWN_TIMEOUT_S = 5.0
LINGERING_S = 10.0
BODY_TIMEOUT_S = 1.0
"""How long the rest of a body is read after the response. A client that still writes might lose the response."""

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

_INVALID = URL("/invalid-target")


def build_app(
    ports: WebPorts,
    *,
    token: SecretStr | None,
    language: Language,
    hosts: Collection[str] = (),
    tokens: Mapping[str, ListenToken] = MappingProxyType({}),
) -> web.Application:
    """Build the web application.

    Clients act with `token` or one of the named `tokens`; without any, only clients on this machine act.
    `language` is the page's language if the browser accepts neither English nor Chinese. `hosts` are the host names
    under which the application is served, in addition to IP addresses and localhost.
    """
    app = web.Application(middlewares=[errors_as_json, only_own_sites(hosts), only_own_files()])
    stream = EventStream(ports)
    decisions = DecisionLog(ports.now)
    loads = GroupLoads(ports.snapshot, loop_time, ports.target_wait_s, ports.groups, ports.is_discovered)
    metrics = MetricsHandler(ports, stream, WantedCollector(loads), DecisionCounters(decisions).collectors)
    actors = Tokens(token, tokens)
    templates = Environment(
        loader=PackageLoader("statemachine.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    handlers: tuple[RouteSource, ...] = (
        PageHandler(ports, templates, language),
        DocsHandler(templates, language),
        StatusHandler(ports),
        ServersHandler(ports),
        ActionsHandler(ports, actors),
        LogHandler(ports),
        stream,
        StatsHandler(ports),
        TrendsHandler(ports),
        metrics,
        TrafficHandler(ports),
        WantedHandler(ports, loads, language),
        RouteChoiceHandler(ports, decisions, language),
        DecisionsHandler(ports, decisions, actors, language),
        AlertsHandler(ports),
        DiscoveryHandler(ports, actors),
        RolloutsHandler(ports, actors),
    )
    _add_routes(app, [route for handler in handlers for route in handler.routes()])
    app.router.add_static("/static", STATIC_DIR)
    app.on_response_prepare.append(_add_security_headers)
    app.on_shutdown.append(stream.end_all)
    app.cleanup_ctx.append(metrics.watch_loop)
    return app


def build_runner(app: web.Application, *, reads_bodies: bool = False) -> web.AppRunner:
    """Return a runner without an access log; at shutdown it waits a few seconds for running requests.

    Unless a route reads bodies, they are neither unpacked nor read for long.
    """
    return PageRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        lingering_time=LINGERING_S if reads_bodies else BODY_TIMEOUT_S,
        auto_decompress=reads_bodies,
    )


def _add_routes(app: web.Application, routes: list[Route]) -> None:
    for route in [*routes, openapi_route(routes, REFUSALS)]:
        app.router.add_route(route.method, route.path, route.handler)
        if route.method == hdrs.METH_GET:
            app.router.add_route(hdrs.METH_HEAD, route.path, route.handler)


async def _add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    if isinstance(response, web.FileResponse):
        response.headers["Cache-Control"] = "no-cache"


class PageRunner(web.AppRunner):
    """A runner that answers every request.

    For a whole URL without a valid host, such as `http://xn--/`, aiohttp 3.14 raises outside of any handler and leaves
    the connection open; the answer is 404. For an expectation that is not UTF-8 it fails; unknown ones are ignored.
    """

    @override
    async def setup(self) -> None:
        await super().setup()
        server = cast(web.Server, self.server)  # set by now
        make = server.request_factory

        def make_tolerantly(message: RawRequestMessage, *context: Any) -> web.BaseRequest:
            message = _without_unknown_expectation(message)
            try:
                return make(message, *context)
            except ValueError:
                return make(message._replace(url=_INVALID), *context)

        server.request_factory = make_tolerantly


def _without_unknown_expectation(message: RawRequestMessage) -> RawRequestMessage:
    if message.headers.get(hdrs.EXPECT, "100-continue").lower() == "100-continue":
        return message
    headers = CIMultiDict(message.headers)
    headers.popall(hdrs.EXPECT)
    return message._replace(headers=CIMultiDictProxy(headers))
