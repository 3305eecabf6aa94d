"""The TLS contexts for connections to servers."""

import ssl
from collections.abc import Iterable
from pathlib import Path

from statemachine.settings import ServerConfig
from statemachine.settings.tls import client_context


class TlsContexts:
    """One TLS context for each CA file, shared by the connections of all servers."""

    def __init__(self) -> None:
        self._contexts: dict[Path | None, ssl.SSLContext] = {}

    def load(self, servers: Iterable[ServerConfig]) -> None:
        """Read the CA files of these servers, also files that were read before. Blocks. Raises OSError."""
        for ca_file in {server.tls.ca_file for server in servers if _is_encrypted(server)}:
            known = self._contexts.get(ca_file)
            if known is None:
                self._contexts[ca_file] = client_context(ca_file)
            elif ca_file is not None:
                known.load_verify_locations(ca_file)

    def context(self, server: ServerConfig) -> ssl.SSLContext | None:
        """Return the context for a server that was loaded, None if its URL is plain http."""
        return self._contexts[server.tls.ca_file] if _is_encrypted(server) else None


def tls_contexts(servers: Iterable[ServerConfig]) -> TlsContexts:
    """Return the TLS contexts of these servers. Blocks. Raises OSError."""
    contexts = TlsContexts()
    contexts.load(servers)
    return contexts


def _is_encrypted(server: ServerConfig) -> bool:
    return server.url.startswith("https:")
