"""The sections `listen` and `gateway`: where each is served, and the tokens of its clients."""

from collections import Counter
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from statemachine.core.messages import message
from statemachine.settings.problems import NotAllowedError, Problem, dotted
from statemachine.settings.source import SettingsSource
from statemachine.settings.tls import ListenTls
from statemachine.settings.values import BindHost, Folder, HostNames, Name, NamedToken, Section, Token, Whole

MAX_TOKENS = 1_000
EXAMPLE = '{"alice": "${ALICE_TOKEN}"}'


class ListenToken(Section):
    """The token of one client."""

    token: NamedToken
    """Bearer token, different from all others."""
    may: Literal["act", "read", "register"] = "act"
    """act: send POST requests. register: only register servers. read: none, which needs no token either."""


def _token_of(value: object) -> object:
    """Return the entry's data; a plain string is an entry with only a token."""
    if not isinstance(value, str | dict | ListenToken):
        raise NotAllowedError(message("settings.token_entry"))
    return {"token": value} if isinstance(value, str) else value


def _check_public_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in url or "?" in url or "#" in url or not url.isascii() or " " in url or not url.isprintable():
        raise NotAllowedError(message("settings.public_url"))
    return url.rstrip("/")


PublicUrl = Annotated[str, Field(max_length=1_000), AfterValidator(_check_public_url)]
TokenOrEntry = Annotated[ListenToken, BeforeValidator(_token_of, json_schema_input_type=str | ListenToken)]


class Listen(Section):
    """Where the page and the API are served."""

    host: BindHost = "127.0.0.1"
    """Address to bind; 0.0.0.0 or :: binds every interface. Beyond loopback a token is required."""
    port: Annotated[Whole, Field(ge=0, le=65535)] = 8799
    """TCP port; 0 selects a free port."""
    token: Token | None = None
    """Bearer token that POST routes require. Without any token they accept requests from loopback only."""
    tokens: Annotated[dict[Name, TokenOrEntry], Field(max_length=MAX_TOKENS)] = Field(default_factory=dict)
    """Named tokens, each a text or an object. The event log has the name of the client that acted."""
    hosts: HostNames = ()
    """Host names, without port, that clients may send, for example behind a reverse proxy. IP addresses, localhost
    and `host` are always allowed; requests for other names are refused. With any name a token is required."""
    public_url: PublicUrl | None = None
    """Address at which people open the page, for links in alerts: https://comfywarm.example.com, with the path of a
    reverse proxy if it has one."""
    tls: ListenTls | None = None
    """Certificate for https; with null the page and the API are served over http."""

    @property
    def secrets(self) -> list[SecretStr]:
        """Return all tokens, the ones that may act first."""
        return [*self.reading, *(one.token for one in self.tokens.values() if one.may == "register")]

    @property
    def reading(self) -> list[SecretStr]:
        """Return the tokens of people and programs that may read, the ones that may act first."""
        named = sorted((one for one in self.tokens.values() if one.may != "register"), key=lambda one: one.may)
        return [*([self.token] if self.token is not None else []), *(one.token for one in named)]


def check_tokens(listen: Listen, source: SettingsSource) -> list[Problem]:
    """Check that no two names have the same token."""
    uses = Counter(secret.get_secret_value() for secret in listen.secrets)
    return [
        source.problem(("listen", "tokens", name, "token"), message("settings.distinct_tokens"))
        for name, one in listen.tokens.items()
        if uses[one.token.get_secret_value()] > 1
    ]


def missing_token(listen: Listen) -> list[Problem]:
    """Return the problem of a page that more than this machine can reach, but that asks for no token."""
    key = "host" if not is_loopback_name(listen.host) else "hosts" if listen.hosts else None
    if key is None or listen.secrets:
        return []
    exposed = message("settings.exposed_without_token", key=dotted(("listen", key)))
    return [Problem("listen.tokens", exposed, message("settings.set_token", example=EXAMPLE))]


def is_loopback_name(host: str) -> bool:
    """Return whether the name, in any case, or the IP address without brackets is loopback.

    RFC 6761 reserves localhost and the names below it, so they are never resolved by DNS.
    """
    name = host.lower().rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or is_loopback_address(name)


def is_loopback_address(address: str) -> bool:
    """Return whether the text is an IP address of loopback, which may be mapped into IPv6 or have a zone."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


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
