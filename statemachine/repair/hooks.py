"""Run the hook that the settings name for a server."""

import os
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import SecretStr
from typing_extensions import override

from statemachine.core.restart import Restart
from statemachine.repair.command import run_command
from statemachine.repair.port import HookRunner
from statemachine.repair.request import secret_parts, send_request
from statemachine.settings.masking import Mask, secrets_in
from statemachine.settings.restarts import HttpHook
from statemachine.settings.servers import ServerConfig

TlsOf = Callable[[ServerConfig], ssl.SSLContext | None]
SecretsOf = Callable[[], Sequence[SecretStr]]


class Hooks(HookRunner):
    """Run hooks. `tls_of` returns the context for a server's own routes, `secrets_of` all secrets of the settings."""

    def __init__(self, tls_of: TlsOf, secrets_of: SecretsOf) -> None:
        self._tls_of = tls_of
        self._secrets_of = secrets_of

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        """Run the hook once."""
        hook, timeout_s = server.restart.hook, server.restart.hook_timeout_s
        if isinstance(hook, HttpHook):
            own = [*secrets_in(hook), *server.headers.values(), *secret_parts(hook, server)]
            mask = Mask([*self._secrets_of(), *own])
            await send_request(hook, server, timeout_s, self._tls_of(server), mask)
        elif hook is not None:
            secrets = self._secrets_of()
            variables = {**without_secrets(os.environ, secrets), **hook_variables(server, restart)}
            await run_command(hook, variables, timeout_s, Mask(secrets))


def without_secrets(variables: Mapping[str, str], secrets: Iterable[SecretStr]) -> dict[str, str]:
    """Return the variables that hold no secret of the settings: a hook and its children do not need them."""
    values = {secret.get_secret_value() for secret in secrets} - {""}
    return {name: value for name, value in variables.items() if value not in values}


def hook_variables(server: ServerConfig, restart: Restart) -> dict[str, str]:
    """Return the environment variables that name the server and the restart."""
    return {
        "COMFYWARM_SERVER": server.name,
        "COMFYWARM_SERVER_URL": server.url,
        "COMFYWARM_GROUP": server.group,
        "COMFYWARM_RESTART_ID": restart.id,
    }
