"""The section `discovery`: the sources of servers that are not listed in `servers`."""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from statemachine.core.messages import message
from statemachine.settings.expand import MAX_PORT, MAX_SERVERS
from statemachine.settings.problems import NotAllowedError, Problem
from statemachine.settings.servers import ServerOptions
from statemachine.settings.source import SettingsSource
from statemachine.settings.values import Folder, HostName, Name, Seconds, Token, Whole, matches

MAX_SOURCES = 100
MAX_NETWORKS = 100

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_PORT = re.compile(r"[0-9]{1,5}|[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_DOMAIN = re.compile(r"\.?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def _check_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable or "@" in text.partition("?")[0] or " " in text or not (text.isascii() and text.isprintable()):
        raise NotAllowedError(message("settings.source_url"))
    return url


def _check_nameserver(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
        usable = port.isascii() and port.isdecimal() and 1 <= int(port) <= MAX_PORT and (":" not in host or "[" in host)
    except ValueError:
        usable = False
    if not usable:
        raise NotAllowedError(message("settings.nameserver"))
    return address


def _check_network(text: str) -> str:
    try:
        ip_network(text, strict=False)
    except ValueError:
        if not _DOMAIN.fullmatch(text) or text.rpartition(".")[2].isdecimal():
            raise NotAllowedError(message("settings.network")) from None
    return text


SourceUrl = Annotated[SecretStr, Field(max_length=4000), AfterValidator(_check_url)]
LabelName = Annotated[str, AfterValidator(matches(_LABEL, message("settings.label_name")))]
Nameserver = Annotated[str, Field(max_length=300), AfterValidator(_check_nameserver)]
PortName = Annotated[str, AfterValidator(matches(_PORT, message("settings.kubernetes_port")))]
KubernetesName = Annotated[str, AfterValidator(matches(_KUBERNETES_NAME, message("settings.kubernetes_name")))]


NetworkName = Annotated[str, Field(max_length=300), AfterValidator(_check_network)]


class SourceOptions(ServerOptions):
    """What all kinds of sources have in common, and what the servers of a source have in common."""

    name: Name
    """Name in messages; unique. The last known servers of a source are stored under it."""
    scheme: Literal["http", "https"] = "http"
    """How the servers are asked if the source does not say it."""
    group_label: LabelName | None = None
    """Label whose value is the group of a server; without it `group`."""
    name_label: LabelName | None = None
    """Label whose value is the name of a server; without it host:port."""
    grace_s: Annotated[Seconds, Field(ge=0, le=604_800)] = 300
    """How long a server that the source no longer lists is kept, in seconds."""
    max_servers: Annotated[Whole, Field(ge=1, le=MAX_SERVERS)] = MAX_SERVERS
    """At most so many servers of the source are in the fleet; others are refused."""


class FileSource(SourceOptions):
    """A file in the format of Prometheus' file_sd, which is watched."""

    kind: Literal["file"]
    """A file in the format of Prometheus' `file_sd`, which is watched."""
    path: Folder
    """JSON file, or YAML with the suffix .yml or .yaml; a relative path starts at the settings file's folder."""


class HttpSource(SourceOptions):
    """An address that answers in the format of Prometheus' http_sd."""

    kind: Literal["http"]
    """An address that answers in the format of Prometheus' `http_sd`."""
    url: SourceUrl
    """http or https URL, without a login."""
    token: Token | None = None
    """Bearer token for the URL."""
    interval_s: Annotated[Seconds, Field(ge=0.05, le=86_400)] = 30
    """Interval between requests, in seconds."""


class DnsSource(SourceOptions):
    """A name in DNS, asked again when its records expire."""

    kind: Literal["dns"]
    """A name in DNS."""
    host: HostName
    """The name: for SRV _comfyui._tcp.example.com, else gpu.example.com."""
    record: Literal["A", "AAAA", "SRV"] = "A"
    """A and AAAA: each address is a server. SRV: each record is one, with its own port."""
    port: Annotated[Whole, Field(ge=1, le=65_535)] = 8188
    """Port of the servers, if the record has none."""
    nameserver: Nameserver | None = None
    """host:port of the DNS server. Default: those of the system."""


class KubernetesSource(SourceOptions):
    """The EndpointSlices of a service, which are watched with the credentials of the pod."""

    kind: Literal["kubernetes"]
    """The EndpointSlices of a service in the cluster in which comfywarm runs."""
    service: KubernetesName
    """Name of the service."""
    namespace: KubernetesName | None = None
    """Namespace of the service. Default: that of the pod."""
    service_port: PortName | None = None
    """Name or number of the service's port. Default: the first one."""


class RegisterSource(SourceOptions):
    """ComfyUI servers that register themselves through the companion node."""

    kind: Literal["register"]
    """ComfyUI servers register themselves, through the companion node."""
    heartbeat_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 15
    """How often a server registers; it counts as vanished after three times this."""
    networks: Annotated[tuple[NetworkName, ...], Field(max_length=MAX_NETWORKS)] = ()
    """Addresses that servers may register: networks, host names, and domains such as .example.com. Default: only the
    address from which a server registers."""


Source = FileSource | HttpSource | DnsSource | KubernetesSource | RegisterSource
Sources = Annotated[tuple[Annotated[Source, Field(discriminator="kind")], ...], Field(max_length=MAX_SOURCES)]


def check_sources(sources: Sources, source: SettingsSource) -> Iterator[Problem]:
    """Check that the names are unique, and that servers register at one source only."""
    names = [one.name for one in sources]
    kinds = [one.kind for one in sources]
    for place, one in enumerate(sources):
        if one.name in names[:place]:
            yield source.problem(("discovery", place, "name"), message("settings.distinct_sources"))
        if one.kind == "register" and "register" in kinds[:place]:
            yield source.problem(("discovery", place, "kind"), message("settings.one_register_source"))
