"""Servers and alert receivers that send every secret back to the daemon that sent it."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from statemachine.simulator import PROFILES
from tests.faults.harness import QUICK
from tests.faults.proxy import Exchange, FaultProxy
from tests.support.paths import WORKFLOWS

SECRETS = {
    "TOKEN": "listen-token-4f1d9a",
    "DENIED": "denied-header-8c2e71",
    "PASSWORD": "basic-password-55aa01",
    "ECHOED": "echoed-header-b7703d",
    "GONE": "gone-header-90cc12",
    "HOOK": "hook-path-1e77d3",
    "HOOK_KEY": "hook-signing-key-aa41",
    "SERVICE": "service-path-6d20f9",
    "USERINFO": "userinfo-pass-c0ffee",
    "ACCOUNT": "workflow-account-3b91e2",
}
BASIC = base64.b64encode(f"operator:{SECRETS['PASSWORD']}".encode()).decode()
ENVIRONMENT = {**SECRETS, "BASIC": BASIC}


async def denied(exchange: Exchange) -> web.StreamResponse:
    """Answer with an error page that quotes the request headers, as some proxies do."""
    return web.Response(status=401, text=f"these credentials are wrong: {dict(exchange.request.headers)}")


async def login(exchange: Exchange) -> web.StreamResponse:
    """Answer with the credentials, encoded and decoded, in a header."""
    given = exchange.request.headers["Authorization"]
    password = base64.b64decode(given.split()[1]).decode()
    return web.Response(status=302, headers={"Location": f"/login?from={given}&as={password}"})


async def debug(exchange: Exchange) -> web.StreamResponse:
    """Answer a cache check with a debugging page that quotes the request headers."""
    return web.Response(text=f"debug: {dict(exchange.request.headers)}")


async def refused(exchange: Exchange) -> web.StreamResponse:
    """Refuse a prompt as ComfyUI does, with a secret in the error."""
    account = json.loads(exchange.body)["extra_data"]["api_key_comfy_org"]
    text = f"not with {exchange.request.headers['X-Key']} and {account}"
    error = {"type": "x", "message": text, "details": "", "extra_info": {}}
    return web.json_response({"error": error, "node_errors": {}}, status=400)


async def broken(exchange: Exchange) -> web.StreamResponse:
    """Send invalid HTTP, which libraries quote in their errors."""
    key = exchange.request.headers["X-Key"].encode()
    return await exchange.raw(b"HTTP/1.1 200 OK\r\n" + key + b" is not a header\r\n\r\n")


SERVERS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "denied": ("loaded", {"GET /cache/check": denied, "GET /ws": denied}, {"Authorization": "Bearer ${DENIED}"}),
    "login": ("loaded", {"GET /cache/check": login, "GET /ws": login}, {"Authorization": "Basic ${BASIC}"}),
    "debug": ("loaded", {"GET /cache/check": debug, "GET /system_stats": debug}, {"X-Key": "${ECHOED}"}),
    "refused": ("cold", {"POST /prompt": refused}, {"X-Key": "${ECHOED}"}),
    "broken": ("loaded", {"GET /cache/check": broken, "GET /ws": broken}, {"X-Key": "${ECHOED}"}),
}


@asynccontextmanager
async def fronts() -> AsyncIterator[dict[str, FaultProxy]]:
    """Run the servers. Yield them by name."""
    async with AsyncExitStack() as stack:
        made: dict[str, FaultProxy] = {}
        for name, (profile, responders, _) in SERVERS.items():
            made[name] = proxy = FaultProxy(PROFILES[profile])
            proxy.responders.update(responders)
            await stack.enter_async_context(proxy.listening())
        yield made


class Receiver:
    """A receiver of alerts that refuses each with a copy of the request."""

    def __init__(self) -> None:
        self.paths: set[str] = set()
        self.url = ""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._refuse)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()

    async def _refuse(self, request: web.Request) -> web.Response:
        self.paths.add(request.path)
        return web.Response(status=400, text=f"{request.url} {dict(request.headers)}")


def write_workflow(folder: Path) -> None:
    """Write the default workflow, with a secret in its extra_data, into the default folder beside the settings."""
    graph = json.loads((WORKFLOWS / "cache_models.json").read_text(encoding="utf-8"))
    body = {"prompt": graph, "extra_data": {"api_key_comfy_org": SECRETS["ACCOUNT"]}}
    (folder / "workflows").mkdir()
    (folder / "workflows" / "cache_models.json").write_text(json.dumps(body), encoding="utf-8")


def settings_over(made: dict[str, FaultProxy], receiver: Receiver, port: int) -> dict[str, Any]:
    """Return settings with a secret from the environment in every place that can hold one."""
    servers = [{"url": proxy.url, "name": name, "headers": SERVERS[name][2]} for name, proxy in made.items()]
    gone = {"url": "http://127.0.0.1:9", "name": "gone", "headers": {"X-Key": "${GONE}"}}
    channels = {
        "hook": {"webhook": f"http://{receiver.url}/hooks/${{HOOK}}", "secret": "${HOOK_KEY}"},
        "service": {"apprise": [f"json://{receiver.url}/${{SERVICE}}"]},
    }
    rule = {"name": "all", "for_s": 0, "to": ["hook", "service"]}
    return {
        "servers": [*servers, gone],
        "cache_check": {"kind": "text"},
        "listen": {"port": port, "token": "${TOKEN}"},
        "logging": {"level": "TRACE", "file": "logs/comfywarm.log"},
        "timing": QUICK,
        "alerts": {"channels": channels, "rules": [rule], "gather_s": 0},
    }
