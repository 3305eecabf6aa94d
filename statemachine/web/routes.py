"""The one table of routes: the application is built from it, and so is /openapi.json."""

from functools import partial

from aiohttp import web

from statemachine.core.log_entry import REASON_CODES, STATE_NAMES
from statemachine.core.operator import Action
from statemachine.publish.serialize import Json
from statemachine.web import schemas
from statemachine.web.api import Api
from statemachine.web.groups import Groups
from statemachine.web.log import DEFAULT_LIMIT, MAX_LIMIT, Log
from statemachine.web.log_query import HIGHEST_NUMBER
from statemachine.web.metrics import Metrics
from statemachine.web.openapi import Answer, Parameter, Route, document
from statemachine.web.page import Page
from statemachine.web.responses import json_response
from statemachine.web.stats import Stats
from statemachine.web.status import Status
from statemachine.web.stream import EventStream
from statemachine.web.traffic import Traffic

_NAME = Parameter("path", "name", "The server's name, by default host:port.")
_GROUP = Parameter("path", "group", "The group's name.")
_UNKNOWN = Answer(404, "There is no such server.", schemas.Error)
_UNKNOWN_GROUP = Answer(404, "There is no such group.", schemas.Error)
_UNKNOWN_EITHER = Answer(404, "There is no such server or group.", schemas.Error)
_NO_JOURNAL = Answer(503, "The journal cannot be read at the moment.", schemas.Error)
_EVERYWHERE = (
    Answer(403, "The browser says that another site's page asks.", schemas.Error),
    Answer(421, "The Host header has a name that is not in listen.hosts.", schemas.Error),
)
_ACTIONS = {
    Action.CHECK: "Ask for a cache check now",
    Action.WARM: "Ask for a warm-up now",
    Action.PAUSE: "Take the server out",
    Action.RESUME: "Give the server back",
}
_GROUP_ACTIONS = {
    Action.CHECK: "Ask for a cache check of every server of the group now",
    Action.WARM: "Ask for a warm-up of every server of the group now",
    Action.PAUSE: "Take every server of the group out",
    Action.RESUME: "Give every server of the group back",
}


def _each(items: Json) -> Json:
    """A parameter that may be repeated."""
    return {"type": "array", "items": items}


_NUMBER = {"type": "integer", "minimum": 0, "maximum": HIGHEST_NUMBER}
_WANTED = (
    Parameter("query", "server", "Only the events of these servers.", schema=_each({"type": "string"})),
    Parameter("query", "group", "Only the events of these groups.", schema=_each({"type": "string"})),
    Parameter(
        "query",
        "state",
        "Only what led to these states, and progress of servers that are in them.",
        schema=_each({"enum": list(STATE_NAMES)}),
    ),
    Parameter(
        "query",
        "reason",
        "Only events with these reason codes, and progress of servers that stand for them.",
        schema=_each({"enum": list(REASON_CODES)}),
    ),
)
"""The filters of the event log. Each may be repeated; an event must suit every kind that is given.

`progress` goes by where its server stands: by the state that it is in, and the reason that it is there for.
"""


def route_table(
    status: Status,
    api: Api,
    groups: Groups,
    log: Log,
    stats: Stats,
    stream: EventStream,
    metrics: Metrics,
    page: Page,
    traffic: Traffic,
) -> list[Route]:
    """Every route but the page's own files."""
    table = [*_pages(page), *_reading(status, api), *_actions(api), *_group_actions(groups), _log(log), _events(stream)]
    table += [_stats(stats), *_probes(api, metrics), *_traffic(traffic)]

    async def describe(_request: web.Request) -> web.Response:
        return json_response(document(table, _EVERYWHERE))

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


def _reading(status: Status, api: Api) -> list[Route]:
    fleet = Answer(200, "The fleet", schemas.Status)
    unchanged = Answer(304, "Nothing has changed since that ETag.", media_type=None)
    known = Parameter("header", "If-None-Match", "The ETag of an earlier answer.")
    detailed = Answer(200, "The fleet in detail", schemas.DetailedStatus)
    server = Answer(200, "The server", schemas.DetailedServer)
    ready = (Answer(200, "Loaded", schemas.Ready), Answer(503, "Not loaded, and why", schemas.Ready), _UNKNOWN)
    name = "/api/servers/{name}"
    return [
        Route("GET", "/api/status", status.handle, "All servers", (fleet, unchanged), (known,)),
        Route("GET", "/api/detailed_status", api.detailed_status, "All servers in detail", (detailed, _NO_JOURNAL)),
        Route("GET", name, api.server, "One server in detail", (server, _UNKNOWN, _NO_JOURNAL), (_NAME,)),
        Route("GET", f"{name}/ready", api.ready, "May traffic be sent there?", ready, (_NAME,)),
    ]


_NOT_ALLOWED = (
    Answer(401, "The token is missing or wrong.", schemas.Error),
    Answer(403, "Not from loopback, or from another site's page.", schemas.Error),
)


def _actions(api: Api) -> list[Route]:
    answers = (Answer(202, "Passed on; the work follows", schemas.Accepted), *_NOT_ALLOWED, _UNKNOWN)
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


def _group_actions(groups: Groups) -> list[Route]:
    answers = (Answer(202, "Passed on; the work follows", schemas.GroupAccepted), *_NOT_ALLOWED, _UNKNOWN_GROUP)
    return [
        Route(
            "POST",
            f"/api/groups/{{group}}/{action.value}",
            partial(groups.act, action),
            summary,
            answers,
            (_GROUP,),
            protected=True,
        )
        for action, summary in _GROUP_ACTIONS.items()
    ]


def _events(stream: EventStream) -> Route:
    answers = (
        Answer(200, "Server-Sent Events: transition, progress, notice", media_type="text/event-stream"),
        Answer(400, "A number, a state or a reason is none.", schemas.Error),
        _UNKNOWN_EITHER,
        Answer(503, "The journal cannot be read, or too many streams are open.", schemas.Error),
    )
    parameters = (
        Parameter("query", "since", "Replay what came after this id, then go on live.", schema=_NUMBER),
        *_WANTED,
        Parameter("header", "Last-Event-ID", "As `since`, and goes before it.", schema=_NUMBER),
    )
    return Route("GET", "/api/events", stream.handle, "What happens, live", answers, parameters)


def _log(log: Log) -> Route:
    answers = (
        Answer(200, "Entries, newest first", schemas.Log),
        Answer(400, "A number, a state or a reason is none.", schemas.Error),
        _UNKNOWN_EITHER,
        _NO_JOURNAL,
    )
    limits = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    parameters = (
        Parameter("query", "limit", "How many entries at most.", schema=limits),
        Parameter("query", "before", "Only entries with a lower id: the `next` of the page before.", schema=_NUMBER),
        Parameter("query", "since", "Only entries with a higher id.", schema=_NUMBER),
        *_WANTED,
    )
    return Route("GET", "/api/log", log.handle, "The event log", answers, parameters)


def _stats(stats: Stats) -> Route:
    answers = (
        Answer(200, "Share of time warm, times to warm, evictions and failed attempts", schemas.Stats),
        Answer(400, "`servers` is neither true nor false.", schemas.Error),
        _UNKNOWN,
        Answer(503, "The journal has not been read to its end yet.", schemas.Error),
    )
    parameters = (
        Parameter("query", "server", "Of the servers only this one, and its last hours."),
        Parameter("query", "servers", "Whether every server's own figures are wanted; by default they are.", "boolean"),
    )
    return Route("GET", "/api/stats", stats.handle, "How warm the fleet was", answers, parameters)


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


def _traffic(traffic: Traffic) -> list[Route]:
    wanted = (
        Parameter("query", "workflow", "Only servers that this workflow warms."),
        Parameter("query", "group", "Only servers of this group."),
    )
    routed = (
        Answer(200, "The loaded server with the shortest queue", schemas.RoutedServer),
        Answer(404, "No server is of that group, or has that workflow.", schemas.Error),
        Answer(503, "None of them is loaded.", schemas.Error),
    )
    targets = Answer(200, "Every server, for Prometheus' http_sd", schemas.Targets)
    return [
        Route("GET", "/api/route", traffic.route, "A warm server for the next piece of work", routed, wanted),
        Route("GET", "/api/http_sd", traffic.http_sd, "Where the servers are", (targets,)),
    ]
