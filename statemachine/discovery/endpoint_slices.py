"""Pure: the targets in EndpointSlices of Kubernetes (discovery.k8s.io/v1), as its API sends them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from statemachine.core.messages import message
from statemachine.discovery.target import (
    MAX_LABEL_CHARACTERS,
    MAX_TARGETS,
    Listing,
    Refusal,
    Refusals,
    Target,
    parse_target,
)
from statemachine.settings.expand import bracketed
from statemachine.settings.problems import NotAllowedError

FAMILIES = ("IPv4", "IPv6", "FQDN")
"""Types of addresses. A pod that has several is reached at the first."""

MAX_SLICES = 10_000


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """One endpoint: the pod that it is, or its address if it is none, and the target."""

    pod: str
    family: int
    target: Target


@dataclass(frozen=True, slots=True)
class _Slice:
    endpoints: tuple[_Endpoint, ...]
    refusals: tuple[Refusal, ...]


class EndpointSlices:
    """The slices of one service by their names. `port` is the name or the number of the wanted port."""

    def __init__(self, scheme: str, port: str | None) -> None:
        self._scheme = scheme
        self._port = port
        self._slices: dict[str, _Slice] = {}

    def clear(self) -> None:
        """Forget all slices, before a new list."""
        self._slices = {}

    def put(self, found: Any) -> None:
        """Add a slice, or replace the one of its name."""
        name = _name(found)
        if name in self._slices or len(self._slices) < MAX_SLICES:
            self._slices[name] = _read(found, name, self._scheme, self._port)

    def remove(self, found: Any) -> None:
        """Remove a slice."""
        self._slices.pop(_name(found), None)

    def listing(self) -> Listing:
        """Return each pod once, in the order of the slices."""
        chosen: dict[str, _Endpoint] = {}
        for one in (endpoint for name in sorted(self._slices) for endpoint in self._slices[name].endpoints):
            known = chosen.get(one.pod)
            if known is None or one.family < known.family:
                chosen[one.pod] = one
        refusals = Refusals()
        for found in self._slices.values():
            refusals.add(*found.refusals)
        return refusals.beside([endpoint.target for endpoint in chosen.values()][:MAX_TARGETS])


def _name(found: Any) -> str:
    metadata = found.get("metadata") if isinstance(found, dict) else None
    return str(metadata.get("name")) if isinstance(metadata, dict) else ""


def _read(found: Any, name: str, scheme: str, wanted: str | None) -> _Slice:
    if not isinstance(found, dict) or found.get("addressType") not in FAMILIES:
        return _Slice((), (Refusal(name, message("slice_unknown")),))
    family = FAMILIES.index(found["addressType"])
    endpoints = [one for one in found.get("endpoints") or () if isinstance(one, dict) and not _is_ending(one)]
    port = _port(found.get("ports"), wanted)
    if port is None:
        return _Slice((), (Refusal(name, message("slice_without_port", port=wanted or "*")),) if endpoints else ())
    read, refused = list[_Endpoint](), list[Refusal]()
    for place, one in enumerate(endpoints):
        try:
            read.append(_endpoint(one, family, port, scheme))
        except (NotAllowedError, LookupError, TypeError) as error:
            why = error.message if isinstance(error, NotAllowedError) else message("endpoint_without_address")
            refused.append(Refusal(f"{name}.endpoints[{place}]", why))
    return _Slice(tuple(read), tuple(refused))


def _is_ending(endpoint: Mapping[str, Any]) -> bool:
    """Return whether the pod ends. Pods that are not ready count: they may wait for comfywarm's own `/ready`."""
    conditions = endpoint.get("conditions")
    return isinstance(conditions, dict) and conditions.get("terminating") is True


def _port(ports: Any, wanted: str | None) -> int | None:
    """Return the number of the wanted port, or of the first."""
    for one in ports if isinstance(ports, list) else ():
        number = one.get("port") if isinstance(one, dict) else None
        if isinstance(number, int) and wanted in {None, str(number), one.get("name")}:
            return number
    return None


def _endpoint(endpoint: Mapping[str, Any], family: int, port: int, scheme: str) -> _Endpoint:
    """Return the endpoint at its first address; the others are the same pod."""
    address = endpoint["addresses"][0]
    target = parse_target(f"{bracketed(address)}:{port}", scheme, dict(_labels(endpoint)))
    return _Endpoint(target.labels.get("pod") or target.key, family, target)


def _labels(endpoint: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    reference = endpoint.get("targetRef")
    found = {
        "pod": reference.get("name") if isinstance(reference, dict) else None,
        "node": endpoint.get("nodeName"),
        "zone": endpoint.get("zone"),
    }
    yield from ((name, text[:MAX_LABEL_CHARACTERS]) for name, text in found.items() if isinstance(text, str))
