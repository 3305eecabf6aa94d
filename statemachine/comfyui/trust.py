"""Whose certificates are believed on the way to each server."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from statemachine.settings import ServerConfig
from statemachine.settings.tls import client_context


class Trust:
    """The TLS contexts of a fleet, one for each CA file: the connections of thousands of servers share them."""

    def __init__(self) -> None:
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def prepare(self, servers: Iterable[ServerConfig]) -> None:
        """Read the CA files of these servers, those known already too, for they may have grown. Blocks; OSError."""
        for ca_file in {server.tls.ca_file for server in servers if _is_encrypted(server)}:
            known = self._contexts.get(ca_file)
            if known is None:
                self._contexts[ca_file] = client_context(ca_file)
            elif ca_file is not None:
                known.load_verify_locations(ca_file)

    def context(self, server: ServerConfig) -> ssl.SSLContext | None:
        """For HTTP and /ws to a server that was prepared; None where its URL is plain http."""
        return self._contexts[server.tls.ca_file] if _is_encrypted(server) else None


def trust_in(servers: Iterable[ServerConfig]) -> Trust:
    """The trust in servers that do not change. Blocks; OSError."""
    trust = Trust()
    trust.prepare(servers)
    return trust


def _is_encrypted(server: ServerConfig) -> bool:
    return server.url.startswith("https:")
