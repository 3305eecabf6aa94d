"""Servers asked straight from the command line, without a daemon."""

from dataclasses import dataclass

import aiohttp

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.network import NetworkTransport
from statemachine.comfyui.tls import TlsContexts
from statemachine.comfyui.workflow import Workflow
from statemachine.settings import ServerConfig


@dataclass(frozen=True, slots=True)
class ServerHandle:
    """One server and the ways to it; `workflows` are those whose files can be used."""

    config: ServerConfig
    transport: NetworkTransport
    client: ComfyClient
    workflows: tuple[Workflow, ...]
    timeout_s: float

    def cache_check(self, kinds: tuple[str, ...]) -> CacheCheck:
        """A check of the first of these kinds that the server offers, on its configured path."""
        return CacheCheck(self.client, kinds, self.config.cache_check.path, self.workflows)


def peer_of(
    session: aiohttp.ClientSession,
    tls: TlsContexts,
    config: ServerConfig,
    workflows: tuple[Workflow, ...],
    timeout_s: float,
) -> ServerHandle:
    """The server as its settings say it is reached. `timeout_s` bounds each request."""
    context = tls.context(config)
    transport = NetworkTransport(session, config.url, config.headers, lambda: timeout_s, context)
    return ServerHandle(config, transport, ComfyClient(transport), workflows, timeout_s)
