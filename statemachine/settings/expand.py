"""Ranges in the URLs of servers: `[a-b]` and `[a-b:step]` in the host and the port.

Parsing does not expand, so a range of a billion servers is refused without being built. Ranges ascend, so a
template is valid if its first and its last server are. Errors do not quote the URL, which may hold a secret.
"""

import ipaddress
import itertools
import math
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from statemachine.core.messages import message
from statemachine.settings.problems import NotAllowedError

MAX_SERVERS = 20_000
MAX_PORT = 65_535
DEFAULT_PORTS = {"http": 80, "https": 443}

_PARTS = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<prefix>/[^?#]*)?", re.IGNORECASE)
_RANGE = re.compile(r"\[(\d{1,9})-(\d{1,9})(?::(\d{1,9}))?\]", re.ASCII)
_AUTHORITY = re.compile(r"(\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(:(?P<port>[0-9]{1,9}))?")
_PREFIX = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_HOSTNAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*")


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The address of one server: `url` without trailing slash and default port, `host` without brackets."""

    url: str
    host: str
    port: int

    @property
    def host_and_port(self) -> str:
        """The server's default name."""
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """A URL with ranges. `texts` has the parts around them, one more than there are `ranges`."""

    scheme: str
    texts: tuple[str, ...]
    ranges: tuple["NumberRange", ...]
    prefix: str

    def __len__(self) -> int:
        return math.prod(len(numbers) for numbers in self.ranges)

    def urls(self) -> Iterator[ServerUrl]:
        """Yield the product of all ranges in order; the last range varies fastest."""
        for chosen in itertools.product(*(numbers.texts() for numbers in self.ranges)):
            yield self._url(chosen)

    def check_ends(self) -> None:
        """Raise NotAllowedError if the first or the last server has an invalid host or port."""
        first = tuple(numbers.text(numbers.first) for numbers in self.ranges)
        last = tuple(numbers.text(numbers.last) for numbers in self.ranges)
        for chosen in dict.fromkeys((first, last)):
            self._url(chosen)

    def _url(self, chosen: tuple[str, ...]) -> ServerUrl:
        pairs = itertools.zip_longest(self.texts, chosen, fillvalue="")
        return parse_address(self.scheme, "".join(itertools.chain.from_iterable(pairs)), self.prefix)


@dataclass(frozen=True, slots=True)
class NumberRange:
    """`[first-stop:step]`, inclusive. Leading zeros in `first` set the width: 01, 02 … 10."""

    first: int
    stop: int
    step: int
    width: int

    @property
    def last(self) -> int:
        return self.first + (len(self) - 1) * self.step

    def __len__(self) -> int:
        return (self.stop - self.first) // self.step + 1

    def texts(self) -> list[str]:
        return [self.text(number) for number in range(self.first, self.stop + 1, self.step)]

    def text(self, number: int) -> str:
        return f"{number:0{self.width}d}"


def parse_template(text: str) -> UrlTemplate:
    """Return the template of a `url` setting. Raises NotAllowedError."""
    template = _template(text)
    template.check_ends()
    return template


def count_servers(text: str) -> int:
    """Return the number of servers of a valid `url` setting, without expanding it."""
    return len(_template(text))


def expand_url(text: str) -> tuple[ServerUrl, ...]:
    """Return every server of a `url` setting, in order. Raises NotAllowedError."""
    return tuple(_template(text).urls())


def _template(text: str) -> UrlTemplate:
    """Return the template without checking its first and last server."""
    scheme, authority, prefix = _split_url(text)
    texts, ranges = _split_ranges(authority)
    template = UrlTemplate(scheme, texts, ranges, prefix)
    check_count(len(template))
    return template


def parse_url(text: str) -> ServerUrl:
    """Return the address of one server from its URL, in which ranges are not allowed. Raises NotAllowedError."""
    return parse_address(*_split_url(text))


def _split_url(text: str) -> tuple[str, str, str]:
    """Return the scheme, the authority and the prefix of a URL. Raises NotAllowedError."""
    found = _PARTS.fullmatch(text)
    if found is None:
        raise NotAllowedError(message("settings.server_url"))
    if "@" in found["authority"]:
        raise NotAllowedError(message("settings.url_without_login", variable="${NAME}"))
    prefix = (found["prefix"] or "").rstrip("/")
    if not _PREFIX.fullmatch(prefix):
        raise NotAllowedError(message("settings.url_prefix"))
    return found["scheme"].lower(), found["authority"], prefix


def check_count(count: int) -> None:
    """Raise NotAllowedError if there are too many servers for one settings file."""
    if count > MAX_SERVERS:
        raise NotAllowedError(message("settings.max_servers", max=MAX_SERVERS, count=count))


def parse_address(scheme: str, authority: str, prefix: str) -> ServerUrl:
    """Return the address of one server from the parts of a URL without ranges."""
    parts = _AUTHORITY.fullmatch(authority.lower())
    if parts is None:
        raise NotAllowedError(message("settings.host_and_port"))
    default = DEFAULT_PORTS[scheme]
    port = int(parts["port"] or default)
    if not 1 <= port <= MAX_PORT:
        raise NotAllowedError(message("settings.port", max=MAX_PORT))
    host = _ipv6(parts["ipv6"]) if parts["ipv6"] else _ipv4_or_name(parts["name"])
    suffix = "" if port == default else f":{port}"
    return ServerUrl(f"{scheme}://{bracketed(host)}{suffix}{prefix}", host, port)


def bracketed(host: str) -> str:
    """Return the host as in a URL, with brackets around an IPv6 address."""
    return f"[{host}]" if ":" in host else host


def host_and_port(url: str) -> str:
    """Return host:port of a server's URL, with the default port if it has none."""
    parts = urlsplit(url)
    return f"{bracketed(parts.hostname or '')}:{parts.port or DEFAULT_PORTS[parts.scheme]}"


def _split_ranges(authority: str) -> tuple[tuple[str, ...], tuple[NumberRange, ...]]:
    """Return the texts around the ranges, and the ranges. An IPv6 address has no `-` and stays text."""
    texts, ranges, end = [], [], 0
    for found in _RANGE.finditer(authority):
        texts.append(authority[end : found.start()])
        ranges.append(_number_range(*found.groups()))
        end = found.end()
    return (*texts, authority[end:]), tuple(ranges)


def _number_range(first: str, stop: str, step: str | None) -> NumberRange:
    numbers = NumberRange(int(first), int(stop), int(step or 1), len(first) if first.startswith("0") else 0)
    if step is not None and int(step) < 1:
        raise NotAllowedError(message("settings.range_step"))
    if numbers.first > numbers.stop:
        raise NotAllowedError(message("settings.ascending_range"))
    return numbers


def _ipv6(host: str) -> str:
    try:
        return ipaddress.IPv6Address(host).compressed
    except ValueError:
        raise NotAllowedError(message("settings.ipv6")) from None


def _ipv4_or_name(host: str) -> str:
    """Return the host in its normal form. If its last label is a number it must be an IPv4 address.

    `inet_pton` is eight times faster than `ipaddress`, which matters for thousands of servers.
    """
    if host.rpartition(".")[2].isdecimal():
        try:
            return socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, host))
        except (OSError, ValueError):
            raise NotAllowedError(message("settings.ipv4")) from None
    if not _HOSTNAME.fullmatch(host):
        raise NotAllowedError(message("settings.host"))
    return host
