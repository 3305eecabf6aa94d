"""The section `gateway`: where the gateway listens, its clients and their limits."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from statemachine.core.messages import message
from statemachine.settings.listen import EXAMPLE, MAX_TOKENS, is_loopback_name
from statemachine.settings.problems import Problem, dotted
from statemachine.settings.source import SettingsSource
from statemachine.settings.values import BindHost, Folder, HostNames, Name, NamedToken, Section, Whole


class GatewaySettings(Section):
    """The gateway, a process of its own that speaks ComfyUI's API for the whole fleet."""

    host: BindHost = "127.0.0.1"
    """Address to bind; 0.0.0.0 or :: binds every interface. Beyond loopback `gateway.tokens` are required."""
    port: Annotated[Whole, Field(ge=0, le=65535)] = 8797
    """TCP port; 0 selects a free port."""
    tokens: Annotated[dict[Name, NamedToken], Field(max_length=MAX_TOKENS)] = Field(default_factory=dict)
    """Token of each client by the client's name. Without any, all programs of this machine are one client."""
    hosts: HostNames = ()
    """Host names, without port, that clients may send, as in `listen.hosts`. With any name a token is required."""
    data_dir: Folder = Path("gateway")
    """Directory of the gateway's ledger and uploads; a relative path starts at the settings file's folder."""
    max_prompts: Annotated[Whole, Field(ge=1, le=10_000)] = 100
    """Prompts of one client that may wait or run at a time."""
    max_upload_mb: Annotated[Whole, Field(ge=1, le=1_000_000)] = 2048
    """MiB of uploads that are kept for one client; the oldest are removed first."""


def check_gateway_tokens(gateway: GatewaySettings | None, source: SettingsSource) -> list[Problem]:
    """Check that no two clients of the gateway have the same token."""
    tokens = {name: token.get_secret_value() for name, token in (gateway.tokens if gateway else {}).items()}
    alike = [name for name, token in tokens.items() if list(tokens.values()).count(token) > 1]
    return [source.problem(("gateway", "tokens", name), message("settings.distinct_tokens")) for name in alike]


def missing_gateway_token(gateway: GatewaySettings | None) -> list[Problem]:
    """Return the problem of a gateway that more than this machine can reach, but that asks for no token."""
    if gateway is None or gateway.tokens:
        return []
    key = "host" if not is_loopback_name(gateway.host) else "hosts" if gateway.hosts else None
    if key is None:
        return []
    exposed = message("settings.gateway_without_token", key=dotted(("gateway", key)))
    return [Problem("gateway.tokens", exposed, message("settings.set_token", example=EXAMPLE))]
