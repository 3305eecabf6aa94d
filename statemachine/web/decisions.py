"""GET /api/decisions: where requests went and why. POST /api/decisions: what a gateway has decided."""

from heapq import nlargest
from http import HTTPStatus

from aiohttp import web
from pydantic import AwareDatetime, Field, ValidationError

from statemachine.core.messages import Message
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.publish.serialize import Json, rfc3339
from statemachine.routing.decision import Origin, Prospect, Why
from statemachine.traffic.decisions import Decided, DecisionLog, GatewayReports, Tally
from statemachine.web.decision_reports import REPORT, DecisionReport, parse_report
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, existing_server, json_response, quoted
from statemachine.web.route import UNKNOWN_SERVER, ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

MAX_SERVERS = 100
"""Servers in an answer, those with the most requests."""


class DecisionCountsSchema(ApiModel):
    """Counts of decisions of the last 24 clock hours."""

    requests: int
    known: int
    """Requests whose models are known."""
    cold: int
    """Known requests for which models had to be loaded, as expected when the server was chosen."""
    cold_share: float | None = Field(ge=0, le=1)
    """`cold` divided by `known`; null if nothing is known."""


class DecisionReasonsSchema(DecisionCountsSchema):
    """Counts of decisions, by their reasons too."""

    reasons: dict[Why, int]


class ServerDecisionsSchema(DecisionReasonsSchema):
    """Counts of the requests that went to a server."""

    server: str


class DecisionHourSchema(DecisionCountsSchema):
    """Counts of one clock hour."""

    at: AwareDatetime
    """Start of the hour."""


class RunnerUpSchema(ApiModel):
    """A server that would have been the next best."""

    server: str
    prospect: Prospect
    expected_wait_s: float


class DecisionSchema(ApiModel):
    """Where a request went and why."""

    at: AwareDatetime
    source: Origin
    """`route`: the answer of POST /api/route. `gateway`: a prompt that a gateway has posted."""
    server: str
    reason: Why
    message: str
    """In the daemon's language."""
    cold: bool | None
    """Whether models had to be loaded, as expected; null if what the request needs is unknown."""
    expected_wait_s: float | None
    missing: list[str]
    """Names of models that were probably not ready, at most 4."""
    others: list[RunnerUpSchema]
    """Best first."""


class DecisionsSchema(ApiModel):
    """Where requests went and why."""

    generated_at: AwareDatetime
    since: AwareDatetime
    """Decisions are counted since then."""
    gateways: int
    """Gateways that have reported since the daemon's start."""
    fleet: DecisionReasonsSchema
    servers: list[ServerDecisionsSchema]
    """Those with the most requests, at most 100; only the requested one with `server`."""
    server_count: int
    """Servers to which requests went."""
    trend: list[DecisionHourSchema]
    """The last 24 clock hours of the fleet, oldest first; the last one is still in progress."""
    newest: list[DecisionSchema]
    """At most 100, the newest first."""


class CountedSchema(ApiModel):
    """The answer to a gateway's report."""

    next: int
    """Number of the decision that the gateway is to send next."""


class DecisionsHandler:
    """Show decisions, and count those that gateways report. `language` is that of the messages."""

    def __init__(self, ports: WebPorts, log: DecisionLog, tokens: Tokens, language: Language) -> None:
        self._ports = ports
        self._log = log
        self._tokens = tokens
        self._language = language
        self._reports = GatewayReports()

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        server = Parameter("query", "server", "Include only decisions for this server, apart from fleet and trend.")
        decisions = ApiResponse(200, "Where requests went and why", DecisionsSchema)
        reported = (
            ApiResponse(200, "Counted", CountedSchema),
            ApiResponse(400, "The body is not a report.", ErrorSchema),
            ApiResponse(401, "The token is missing or wrong.", ErrorSchema),
            ApiResponse(403, "The client or its token may not act.", ErrorSchema),
            ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
        )
        path, summary = "/api/decisions", "Report the decisions of a gateway"
        return [
            Route("GET", path, self.show, "Get where requests went and why", (decisions, UNKNOWN_SERVER), (server,)),
            Route("POST", path, self.report, summary, reported, protected=True, body=REPORT),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Handle GET /api/decisions."""
        name = request.query.get("server")
        if name is not None:
            existing_server(self._ports.snapshot, name)
        servers = self._log.servers()
        wanted = servers if name is None else {name: servers.get(name, Tally())}
        busiest = nlargest(MAX_SERVERS, wanted.items(), key=lambda one: one[1].total)
        newest = [one for one in self._log.newest() if name in {None, one.explanation.server}]
        body = {
            "generated_at": rfc3339(self._ports.now()),
            "since": rfc3339(self._log.since),
            "gateways": len(self._reports),
            "fleet": _reasons(self._log.fleet()),
            "servers": [{"server": server, **_reasons(tally)} for server, tally in busiest],
            "server_count": len(servers),
            "trend": [{"at": rfc3339(at), **_counts(tally)} for at, tally in self._log.trend()],
            "newest": [self._decision(one) for one in newest],
        }
        return json_response(body)

    async def report(self, request: web.Request) -> web.Response:
        """Handle POST /api/decisions."""
        self._tokens.authorize(request)
        report = _parsed(await request.read())
        skipped, expected = self._reports.accept(report.gateway, report.oldest, report.first, len(report.decisions))
        for one in report.decisions[skipped:]:
            if self._is_known(one.server):
                self._log.note(Origin.GATEWAY, one.explanation(self._is_known), one.age_s)
        return json_response({"next": expected})

    def _is_known(self, server: str) -> bool:
        return self._ports.snapshot.get(server) is not None

    def _decision(self, one: Decided) -> Json:
        explanation = one.explanation
        return {
            "at": rfc3339(one.at),
            "source": one.origin.value,
            "server": explanation.server,
            "reason": explanation.why.value,
            "message": render(Message(f"route.why.{explanation.why.value}"), self._language),
            "cold": explanation.is_cold,
            "expected_wait_s": None if explanation.wait_s is None else round(explanation.wait_s, 1),
            "missing": list(explanation.missing),
            "others": [
                {"server": other.server, "prospect": other.prospect.value, "expected_wait_s": round(other.wait_s, 1)}
                for other in explanation.others
            ],
        }


def _counts(tally: Tally) -> Json:
    share = tally.cold_share
    rounded = None if share is None else round(share, 6)
    return {"requests": tally.total, "known": tally.known, "cold": tally.cold, "cold_share": rounded}


def _reasons(tally: Tally) -> Json:
    return {**_counts(tally), "reasons": {why.value: tally.reasons[why] for why in Why if tally.reasons[why]}}


def _parsed(body: bytes) -> DecisionReport:
    """Return the report; raise ApiError 400 if the body is none."""
    try:
        return parse_report(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"]) or "the body"
        message = f"{quoted(place)}: {first['msg']}"
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_report", message) from error
