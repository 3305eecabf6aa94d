"""The one table of routes: the application is built from it, and so is /openapi.json."""

from functools import partial

from aiohttp import web

from statemachine.web import schemas
from statemachine.web.answers import json_response
from statemachine.web.api import Api
from statemachine.web.metrics import Metrics
from statemachine.web.openapi import Answer, Parameter, Route, document
from statemachine.web.page import Page
from statemachine.web.ports import Action
from statemachine.web.stream import EventStream

_NAME = Parameter("path", "name", "The server's name, by default host:port.")
_UNKNOWN = Answer(404, "There is no such server.", schemas.Error)
_NO_JOURNAL = Answer(503, "The journal cannot be read at the moment.", schemas.Error)
_ACTIONS = {
    Action.CHECK: "Ask for a cache check now",
    Action.WARM: "Ask for a warm-up now",
    Action.PAUSE: "Take the server out",
    Action.RESUME: "Give the server back",
}


def route_table(api: Api, stream: EventStream, metrics: Metrics, page: Page) -> list[Route]:
    """Every route but the page's own files."""
    table = [*_pages(page), *_reading(api), *_actions(api), _events(stream), *_probes(api, metrics)]

    async def describe(_request: web.Request) -> web.Response:
        return json_response(document(table))

    table.append(Route("GET", "/openapi.json", describe, "This description", (Answer(200, "OpenAPI 3.1"),)))
    return table


def _pages(page: Page) -> list[Route]:
    language = Parameter("query", "lang", "en or zh; otherwise Accept-Language decides, then the settings.")
    to_page = Answer(302, "To /status", media_type=None)
    html = Answer(200, "The live page", media_type="text/html")
    return [
        Route("GET", "/", page.redirect, "To the page", (to_page,)),
        Route("GET", "/status", page.handle, "The page for people", (html,), (language,)),
    ]


def _reading(api: Api) -> list[Route]:
    status = Answer(200, "The fleet", schemas.Status)
    detailed = Answer(200, "The fleet in detail", schemas.DetailedStatus)
    server = Answer(200, "The server", schemas.DetailedServer)
    ready = (Answer(200, "Loaded", schemas.Ready), Answer(503, "Not loaded, and why", schemas.Ready), _UNKNOWN)
    name = "/api/servers/{name}"
    return [
        Route("GET", "/api/status", api.status, "All servers", (status,)),
        Route("GET", "/api/detailed_status", api.detailed_status, "All servers in detail", (detailed, _NO_JOURNAL)),
        Route("GET", name, api.server, "One server in detail", (server, _UNKNOWN, _NO_JOURNAL), (_NAME,)),
        Route("GET", f"{name}/ready", api.ready, "May traffic be sent there?", ready, (_NAME,)),
    ]


def _actions(api: Api) -> list[Route]:
    answers = (
        Answer(202, "Passed on; the work follows", schemas.Accepted),
        Answer(401, "The token is missing or wrong.", schemas.Error),
        Answer(403, "Not from loopback, or from another site's page.", schemas.Error),
        _UNKNOWN,
    )
    return [
        Route(
            "POST",
            f"/api/servers/{{name}}/{action.value}",
            partial(api.act, action),
            summary,
            answers,
            (_NAME,),
            protected=True,
        )
        for action, summary in _ACTIONS.items()
    ]


def _events(stream: EventStream) -> Route:
    answers = (
        Answer(200, "Server-Sent Events: transition, progress, notice", media_type="text/event-stream"),
        Answer(400, "`since` or `Last-Event-ID` is no number.", schemas.Error),
        _UNKNOWN,
        Answer(503, "The journal cannot be read, or too many streams are open.", schemas.Error),
    )
    parameters = (
        Parameter("query", "since", "Replay what came after this id, then go on live.", "integer"),
        Parameter("query", "server", "Only the events of this server."),
        Parameter("header", "Last-Event-ID", "As `since`, and goes before it.", "integer"),
    )
    return Route("GET", "/api/events", stream.handle, "What happens, live", answers, parameters)


def _probes(api: Api, metrics: Metrics) -> list[Route]:
    alive = Answer(200, "The loop is alive", schemas.Alive)
    ready = (
        Answer(200, "Every server has a first verdict", schemas.FleetReady),
        Answer(503, "Not yet", schemas.FleetReady),
    )
    text = Answer(200, "Prometheus' text format, or OpenMetrics", media_type="text/plain")
    return [
        Route("GET", "/metrics", metrics.handle, "Figures for Prometheus", (text,)),
        Route("GET", "/healthz", api.healthz, "Is the daemon alive?", (alive,)),
        Route("GET", "/readyz", api.readyz, "Does the daemon know its fleet?", ready),
    ]
