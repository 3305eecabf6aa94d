"""Actions on servers and groups: which clients may perform them, and which servers they reach."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from statemachine.core.messages import message, verbatim
from statemachine.core.ports import Action, ActionRefusedError, NotStoredError
from statemachine.core.vocabulary import Reason, State
from statemachine.settings.listen import ListenToken
from tests.web.site import COLD, LOADED, Site, running_site, view

TOKEN = "s3cret"
LAB = "farm α 1"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


async def post(site: Site, action: str = "warm", server: str = COLD, **headers: str) -> tuple[int, str]:
    """Return the status, and the error code or the accepted action."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.client.post(f"/api/servers/{server}/{action}", headers=named) as response:
        body = await response.json()
        return response.status, body["error"]["code"] if "error" in body else body["action"]


@pytest.mark.parametrize("action", list(Action))
async def test_action_from_loopback_without_token_is_accepted(site: Site, action: Action) -> None:
    assert await post(site, action.value) == (202, action.value)
    assert site.operator.actions == [(COLD, action)]


OF_PROXIES = [
    "Forwarded",
    "X-Forwarded-For",
    "x-forwarded-host",
    "X-Forwarded-Proto",
    "X-Forwarded-Anything",
    "X-Real-IP",
    "Via",
    "CF-Ray",
    "CF-Connecting-IP",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "Fastly-Client-IP",
    "X-Original-URL",
    "X-Original-Forwarded-For",
    "Fly-Client-IP",
    "X-Envoy-External-Address",
    "X-Amzn-Trace-Id",
    "X-ARR-LOG-ID",
    "X-Azure-ClientIP",
    "CDN-Loop",
    "X-Varnish",
    "Tailscale-User-Login",
    "Proxy-Connection",
    "Max-Forwards",
    "X-Scheme",
    "X_Forwarded_For",
    "HTTP-X-Forwarded-For",
    "Client-IP",
    "HTTP_CLIENT_IP",
    "X-From-IP",
    "X-Host",
    "Remote-User",
    "Ali-CDN-Real-IP",
    "Incap-Client-IP",
    "Akamai-Origin-Hop",
    "X-Cloud-Trace-Context",
    "X-BlueCoat-Via",
    "Surrogate-Capability",
]


@pytest.mark.parametrize("value", ["192.0.2.9", ""])
@pytest.mark.parametrize("header", OF_PROXIES)
async def test_action_through_proxy_without_token_is_refused(site: Site, header: str, value: str) -> None:
    assert await post(site, **{header: value}) == (403, "loopback_only")
    assert site.operator.actions == []


ADDRESS = "127.0.0.1:8799"
PLAIN = f"POST /api/servers/{COLD}/pause HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Length: 0\r\n"
LOCAL = {
    "address": PLAIN,
    "localhost": PLAIN.replace(ADDRESS, "localhost"),
    "tunnel": PLAIN.replace(ADDRESS, "localhost:9000"),
    "below-localhost": PLAIN.replace(ADDRESS, "Warm.LocalHost.:80"),
    "ipv6": PLAIN.replace(ADDRESS, "[::1]:8799"),
    "keep-alive": PLAIN + "Connection: keep-alive\r\n",
}
NOT_LOCAL = {
    "nginx": PLAIN.replace("HTTP/1.1", "HTTP/1.0") + "Connection: close\r\n",
    "nginx-http-1.1": PLAIN + "Connection: close\r\n",
    "http-1.0": PLAIN.replace("HTTP/1.1", "HTTP/1.0"),
    "haproxy": PLAIN.replace(ADDRESS, "192.0.2.7"),
    "haproxy-ipv6": PLAIN.replace(ADDRESS, "[2001:db8::7]:8799"),
    "any-address": PLAIN.replace(ADDRESS, "0.0.0.0"),
    "no-host": PLAIN.replace(f"Host: {ADDRESS}\r\n", "").replace("HTTP/1.1", "HTTP/1.0"),
    "zero": PLAIN.replace(ADDRESS, "[::]:8799"),
    "whole-url": PLAIN.replace("/api", f"http://{ADDRESS}/api"),
}


async def status_of(site: Site, head: str) -> int:
    """Send the request as it is, and return the status of the response."""
    url = site.client.make_url("/")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"{head}\r\n".encode())
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


@pytest.mark.parametrize("kind", LOCAL)
async def test_action_of_this_machine_without_token_is_accepted(site: Site, kind: str) -> None:
    assert await status_of(site, LOCAL[kind]) == 202


@pytest.mark.parametrize("kind", NOT_LOCAL)
async def test_action_like_a_proxy_without_token_is_refused(site: Site, kind: str) -> None:
    assert await status_of(site, NOT_LOCAL[kind]) == 403
    assert site.operator.actions == []


OF_PROGRAMS = [
    "User-Agent",
    "Accept-Language",
    "Sec-CH-UA-Platform",
    "Upgrade-Insecure-Requests",
    "X-Requested-With",
    "X-Request-ID",
    "Traceparent",
    "Comfy-User",
    "DNT",
    "Priority",
    "Pragma",
]


@pytest.mark.parametrize("header", OF_PROGRAMS)
async def test_action_with_header_of_local_programs_is_accepted(site: Site, header: str) -> None:
    assert await post(site, **{header: "x"}) == (202, "warm")


async def test_action_with_two_hosts_is_refused(site: Site) -> None:
    assert await status_of(site, PLAIN + f"Host: {ADDRESS}\r\n") in {400, 403}
    assert site.operator.actions == []


NAMED = {
    "alice": ListenToken(token=SecretStr("token-of-alice")),
    "bob": ListenToken(token=SecretStr("token-of-bob"), may="read"),
    "node": ListenToken(token=SecretStr("token-of-node"), may="register"),
}


@pytest.mark.parametrize(("token", "by"), [("token-of-alice", "alice"), (TOKEN, None)])
async def test_action_names_the_client_of_the_token(
    tmp_path: Path, token: str, by: str | None, log_lines: list[str]
) -> None:
    async with running_site(tmp_path, token=TOKEN, tokens=NAMED) as site:
        assert await post(site, Authorization=f"Bearer {token}", X_Forwarded_For="192.0.2.9") == (202, "warm")
        async with site.client.post("/api/groups/default/pause", headers={"Authorization": f"Bearer {token}"}):
            pass
    assert site.operator.callers == [by] * 3
    name = f"client {by}" if by else "a client"
    assert log_lines == [f"{name} requested warm of {COLD}", f"{name} requested pause of group default"]


@pytest.mark.parametrize("token", ["token-of-bob", "token-of-node", "token-of-ali", "token-of-alice2", "alice", ""])
async def test_action_with_token_that_may_not_act_is_refused(tmp_path: Path, token: str) -> None:
    async with running_site(tmp_path, tokens=NAMED) as site:
        refused = (403, "token_may_not_act") if token in {"token-of-bob", "token-of-node"} else (401, "token_required")
        assert await post(site, Authorization=f"Bearer {token}") == refused
        assert site.operator.actions == []
        for read in ("", "Bearer token-of-bob", "Bearer wrong"):
            assert (await site.get("/api/status", headers={"Authorization": read}))[0] == 200


@pytest.mark.parametrize("order", [1, -1])
async def test_action_with_two_tokens_is_refused(tmp_path: Path, order: int) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        first, second = [f"Bearer {TOKEN}", "Bearer wrong"][::order]
        assert await status_of(site, f"{PLAIN}Authorization: {first}\r\nAuthorization: {second}\r\n") == 401
        assert site.operator.actions == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}],
)
async def test_action_with_wrong_token_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **headers) == (401, "token_required")
        assert site.operator.actions == []


@pytest.mark.parametrize(
    ("headers", "says", "challenge"),
    [
        ({}, "missing token", "Bearer"),
        ({"Authorization": "Bearer "}, "missing token", "Bearer"),
        ({"Authorization": f"Basic {TOKEN}"}, "missing token", "Bearer"),
        ({"Authorization": "Bearer wrong"}, "wrong token", 'Bearer error="invalid_token"'),
    ],
)
async def test_refused_action_tells_a_wrong_token_from_a_missing_one(
    tmp_path: Path, headers: dict[str, str], says: str, challenge: str
) -> None:
    async with (
        running_site(tmp_path, token=TOKEN) as site,
        site.client.post(f"/api/servers/{COLD}/warm", headers=headers) as response,
    ):
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (401, "token_required")
        assert error["message"].startswith(says)
        assert response.headers["WWW-Authenticate"] == challenge


async def test_action_with_token_through_proxy_is_accepted(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, X_Forwarded_For="192.0.2.9") == (202, "warm")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_action_from_foreign_page_is_refused(tmp_path: Path, origin: str) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, Origin=origin) == (403, "foreign_origin")
        assert site.operator.actions == []


async def test_action_from_own_page_is_accepted(site: Site) -> None:
    assert await post(site, Origin=str(site.client.make_url("/").origin())) == (202, "warm")


async def test_status_without_token_is_served(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert (await site.get("/api/status"))[0] == 200


async def test_action_on_unknown_server_is_404(site: Site) -> None:
    assert await post(site, server="unknown:1") == (404, "unknown_server")
    site.operator.missing = frozenset({COLD})
    assert await post(site) == (404, "unknown_server")


def add_lab(site: Site) -> list[str]:
    names = ["192.0.2.7:8188", "192.0.2.8:8188"]
    for name in names:
        site.snapshot.put(view(name, State.COLD, Reason.KEYS_MISSING)._replace(group=LAB))
    return names


@pytest.mark.parametrize("action", [action for action in Action if action is not Action.RESTART])
async def test_group_action_reaches_exactly_its_servers(site: Site, action: Action) -> None:
    names = add_lab(site)
    async with site.client.post(f"/api/groups/{LAB}/{action.value}") as response:
        assert response.status == 202
        assert await response.json() == {"group": LAB, "action": action.value, "servers": 2}
    assert site.operator.actions == [(name, action) for name in names]


async def test_group_action_on_unknown_group_is_404(site: Site) -> None:
    async with site.client.post("/api/groups/unknown/warm") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "unknown_group"
    assert site.operator.actions == []


async def test_group_action_does_not_count_removed_servers(site: Site) -> None:
    site.operator.missing = frozenset({COLD})
    async with site.client.post("/api/groups/default/pause") as response:
        assert (await response.json())["servers"] == 1
    site.operator.missing = frozenset({COLD, LOADED})
    async with site.client.post("/api/groups/default/pause") as response:
        assert response.status == 404


@pytest.mark.parametrize(("token", "status"), [("wrong", 401), (TOKEN, 202)])
async def test_group_action_needs_token_and_own_origin(tmp_path: Path, token: str, status: int) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        headers = {"Authorization": f"Bearer {token}"}
        async with site.client.post("/api/groups/default/warm", headers=headers) as response:
            assert response.status == status
        async with site.client.post("/api/groups/default/warm", headers={"Origin": "http://192.0.2.66"}) as response:
            assert response.status in {401, 403}
        assert len(site.operator.actions) == (2 if status == 202 else 0)


@pytest.mark.parametrize("state", [State.DRAINING, State.RESTARTING, State.COLD])
async def test_accepted_action_names_a_restart_that_it_found(site: Site, state: State) -> None:
    site.snapshot.put(view(COLD, state, Reason.RESTART_REQUESTED))
    async with site.client.post(f"/api/servers/{COLD}/restart") as response:
        assert response.status == 202
        found = {} if state is State.COLD else {"state": state.value}
        assert await response.json() == {"server": COLD, "action": "restart", **found}


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ActionRefusedError(message("restart_no_hook", server=COLD)), 409, "restart_no_hook"),
        (ActionRefusedError(message("restart_paused", server=COLD)), 409, "restart_paused"),
        (ActionRefusedError(verbatim("not today")), 409, "action_refused"),
        (NotStoredError(message("restart_not_stored", server=COLD, cause="full")), 503, "restart_not_stored"),
        (NotStoredError(message("cancellation_not_stored", server=COLD, cause="full")), 503, "cancellation_not_stored"),
    ],
)
async def test_refused_action_has_its_own_code(site: Site, error: Exception, status: int, code: str) -> None:
    site.operator.refusal = error
    assert await post(site, "restart") == (status, code)
