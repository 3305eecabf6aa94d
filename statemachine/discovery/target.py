"""A server that a source names: its address and its labels."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from statemachine.core.messages import Message, Param, message
from statemachine.settings.expand import MAX_SERVERS, ServerUrl, host_and_port, parse_address, parse_url
from statemachine.settings.problems import NotAllowedError

MAX_TARGETS = MAX_SERVERS
"""Targets in one answer; the others are refused."""

MAX_REFUSALS = 100
"""Refused targets of an answer that are kept with their reasons; the others are counted."""

MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 256

SCHEME_LABEL = "__scheme__"
"""Prometheus' label for the scheme of a target."""

NO_LABELS: Mapping[str, str] = MappingProxyType({})

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Target:
    """A server that a source names."""

    address: ServerUrl
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS, hash=False)
    key: str = field(init=False, compare=False)
    """The address without its scheme: equal keys are one server."""

    def __post_init__(self) -> None:
        """Compute the key once: sources list the same targets with every answer."""
        object.__setattr__(self, "key", f"{self.address.host_and_port}{_prefix(self.address.url)}")

    @property
    def is_https(self) -> bool:
        """Whether the server is reached by https."""
        return self.address.url.startswith("https:")

    @property
    def name(self) -> str:
        """The name of the server, unless a label says another one: host:port."""
        return self.key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A target that cannot be used: where it is in the answer, and why."""

    where: Param
    why: Message

    @property
    def message(self) -> Message:
        """The refusal as one message."""
        return message("target_refused", where=self.where, why=self.why)


@dataclass(frozen=True, slots=True)
class Listing:
    """A usable answer of a source. `unnamed` counts refusals beyond those that are kept."""

    targets: tuple[Target, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unnamed: int = 0


class Refusals:
    """Refusals, of which only the first are kept."""

    def __init__(self) -> None:
        self._kept: list[Refusal] = []
        self._unnamed = 0

    def add(self, *refusals: Refusal, unnamed: int = 0) -> None:
        """Add refusals, and the count of others that were not kept."""
        room = MAX_REFUSALS - len(self._kept)
        self._kept += refusals[:room]
        self._unnamed += unnamed + len(refusals[room:])

    def beside(self, targets: Iterable[Target]) -> Listing:
        """Return the answer with these targets."""
        return Listing(tuple(targets), tuple(self._kept), self._unnamed)


def parse_target(text: str, scheme: str, labels: Mapping[str, str] = NO_LABELS) -> Target:
    """Return the target of `host:port` or of a URL. Raises NotAllowedError."""
    if _SCHEME.match(text):
        return Target(parse_url(text), labels)
    scheme = labels.get(SCHEME_LABEL, scheme)
    if scheme not in {"http", "https"}:
        raise NotAllowedError(message("target_scheme", label=SCHEME_LABEL))
    return Target(parse_address(scheme, text, ""), labels)


def address_key(url: str) -> str:
    """Return the key of the server at this URL, as that of a target."""
    return f"{host_and_port(url)}{_prefix(url)}"


def _prefix(url: str) -> str:
    _, slash, path = url.partition("://")[2].partition("/")
    return slash + path
