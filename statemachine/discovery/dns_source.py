"""A name in DNS, asked again when its records expire."""

import asyncio
import ipaddress
from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
from dns.rdtypes.IN.SRV import SRV

from statemachine.core.messages import message, one_line
from statemachine.discovery.source import PolledSource, Report, SourceError
from statemachine.discovery.target import Listing, Refusal, Refusals, Target, parse_target
from statemachine.settings.discovery import DnsSource
from statemachine.settings.expand import bracketed
from statemachine.settings.problems import NotAllowedError

LEAST_TTL_S, MOST_TTL_S = 5.0, 300.0
"""Bounds of the time until the name is asked again."""

ABSENT_TTL_S = 15.0
"""The same while the name has no records."""

TIMEOUT_S = 10.0


class DnsTargets:
    """Asks for the records of a name."""

    def __init__(self, settings: DnsSource) -> None:
        self._settings = settings

    async def run(self, report: Report) -> None:
        """Report every answer until cancelled. Raises SourceError."""
        resolver = await asyncio.to_thread(_resolver, self._settings.nameserver)
        await PolledSource(lambda: self._ask(resolver)).run(report)

    async def _ask(self, resolver: dns.asyncresolver.Resolver) -> tuple[Listing, float]:
        """Ask once. A name without records is an answer; a server that fails to answer is an error."""
        settings = self._settings
        try:
            answer = await resolver.resolve(settings.host, settings.record, search=False, lifetime=TIMEOUT_S)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return Listing(), ABSENT_TTL_S
        except (dns.exception.DNSException, OSError) as error:
            raise _error(settings, error) from None
        ttl_s = float(answer.chaining_result.minimum_ttl)
        return _listing(self._addresses(answer), settings.scheme), min(MOST_TTL_S, max(LEAST_TTL_S, ttl_s))

    def _addresses(self, answer: dns.resolver.Answer) -> Iterable[str]:
        """Return host:port of each record, in a fixed order: DNS servers rotate theirs."""
        if self._settings.record == "SRV":
            return sorted(_service(record) for record in answer if isinstance(record, SRV) and _is_offered(record))
        return sorted(f"{bracketed(record.to_text())}:{self._settings.port}" for record in answer)


def _resolver(nameserver: str | None) -> dns.asyncresolver.Resolver:
    """Return a resolver for host:port, or for the system's servers. It keeps no cache."""
    if nameserver is None:
        try:
            return dns.asyncresolver.Resolver()
        except (dns.exception.DNSException, OSError) as error:
            raise SourceError(message("source_no_answer", error=one_line(str(error)))) from None
    host, _, port = nameserver.rpartition(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [ipaddress.ip_address(host.strip("[]")).compressed]
    resolver.port = int(port)
    return resolver


def _service(record: SRV) -> str:
    return f"{record.target.to_text(omit_final_dot=True)}:{record.port}"


def _is_offered(record: SRV) -> bool:
    """Return whether the record names a server; the root as its target says that there is none (RFC 2782)."""
    return len(record.target.labels) > 1


def _listing(addresses: Iterable[str], scheme: str) -> Listing:
    targets, refusals = list[Target](), Refusals()
    for address in addresses:
        try:
            targets.append(parse_target(address, scheme))
        except NotAllowedError as error:
            refusals.add(Refusal(repr(address), error.message))
    return refusals.beside(targets)


def _error(settings: DnsSource, error: Exception) -> SourceError:
    text = one_line(str(error)) or type(error).__name__
    return SourceError(message("source_dns", record=settings.record, host=settings.host, error=text))
