"""GET /metrics, for the operator: with a token of the daemon's page, or without any from this machine."""

from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from statemachine.gateway.clients import digest, given_token, refusal
from statemachine.gateway.errors import GatewayError
from statemachine.web.local import is_local
from statemachine.web.metrics import encoder_for

_MISSING = "missing token; /metrics needs one of listen.token or listen.tokens"
_WRONG = "wrong token; /metrics needs one of listen.token or listen.tokens"
_LOOPBACK_ONLY = "without a token /metrics serves only this machine, and not through a proxy; set listen.tokens"


class GatewayMetricsHandler:
    """Serves the metrics. `tokens` are those of the daemon's page, and not the clients'."""

    def __init__(self, registry: CollectorRegistry, tokens: Iterable[SecretStr]) -> None:
        self._registry = registry
        self._known = {digest(token.get_secret_value()) for token in tokens}

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /metrics, in OpenMetrics if the client prefers it, else in Prometheus' text format."""
        self._authorize(request)
        encode, content_type = encoder_for(request.headers.get(hdrs.ACCEPT, ""))
        headers = {"Content-Type": content_type, "Cache-Control": "no-store"}
        return web.Response(body=encode(self._registry), headers=headers)

    def _authorize(self, request: web.Request) -> None:
        """Raise GatewayError if the request is not the operator's."""
        if not self._known:
            if not is_local(request):
                raise GatewayError(HTTPStatus.FORBIDDEN, "loopback_only", _LOOPBACK_ONLY)
        elif digest(given_token(request)) not in self._known:
            raise refusal(request, _MISSING, _WRONG)
