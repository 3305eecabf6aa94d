"""Access to one server from the command line, without a daemon."""

from dataclasses import dataclass

import aiohttp

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.network import NetworkTransport, TlsContexts
from statemachine.comfyui.pacing import PacedTransport, RequestPause
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow
from statemachine.fleet.diff import wanted_workflows
from statemachine.settings import ServerConfig


@dataclass(frozen=True, slots=True)
class ServerHandle:
    """A server, its transport and client. `workflows` are those whose files are valid."""

    config: ServerConfig
    transport: Transport
    client: ComfyClient
    workflows: tuple[Workflow, ...]
    timeout_s: float

    def cache_check(self, kinds: tuple[str, ...]) -> CacheCheck:
        """Return a check of the first of these kinds that the server offers, on its configured path."""
        return CacheCheck(self.client, kinds, self.config.cache_check.path, self.workflows)


def server_handle(
    session: aiohttp.ClientSession,
    tls: TlsContexts,
    config: ServerConfig,
    workflows: tuple[Workflow, ...],
    timeout_s: float,
) -> ServerHandle:
    """Return access to a server with its headers and certificates. `timeout_s` limits each request."""
    context = tls.context(config)
    secrets = [secret for workflow in workflows for secret in workflow.secrets()]
    network = NetworkTransport(session, config.url, config.headers, lambda: timeout_s, context, secrets=secrets)
    transport = PacedTransport(network, RequestPause(lambda: timeout_s, lambda: timeout_s))
    wanted = tuple(wanted_workflows(config, workflows).values())
    return ServerHandle(config, transport, ComfyClient(transport), wanted, timeout_s)
