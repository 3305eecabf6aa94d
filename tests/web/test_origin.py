"""Requests with unknown host names and from pages of other sites are refused."""

import asyncio
from pathlib import Path

import pytest
from multidict import CIMultiDict

from tests.web.site import COLD, Site, running_site

ROUTES = ["/status", "/api/status", f"/api/servers/{COLD}", "/api/events", "/metrics", "/healthz", "/openapi.json"]
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def asked(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Return the status and the error code, empty for a success, without reading a stream."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.client.request(method, path, headers=named) as response:
        failed = response.status >= 400
        return response.status, (await response.json())["error"]["code"] if failed else ""


@pytest.mark.parametrize("path", ROUTES)
async def test_request_with_unknown_host_is_refused_on_every_route(site: Site, path: str) -> None:
    assert await asked(site, path, Host="rebound.example:8799") == (421, "unknown_host")


async def test_action_with_unknown_host_is_not_performed(site: Site) -> None:
    foreign = {"Host": "rebound.example", "Origin": "http://rebound.example"}
    assert await asked(site, f"/api/servers/{COLD}/warm", "POST", **foreign) == (421, "unknown_host")
    assert site.operator.actions == []


OWN = ["127.0.0.1:8799", "127.0.0.1", "[::1]:8799", "localhost", "LOCALHOST.:8799", "warm.localhost", "192.0.2.7:80"]


@pytest.mark.parametrize("host", OWN)
async def test_request_with_address_or_localhost_is_served(site: Site, host: str) -> None:
    assert await asked(site, "/api/status", Host=host) == (200, "")


ODD = [
    "evil.example@localhost",
    "localhost/evil.example",
    "localhost?evil",
    "localhost#evil",
    "127.0.0.1:80:80",
    "127.0.0.1:evil",
    "[::1]evil.example",
    "[::1%25evil]",
    "127.0.0.1,evil.example",
    "2130706433",
    "0x7f.1",
]
"""Texts that are not the host and port of any URL, and other spellings of addresses."""


@pytest.mark.parametrize(
    "host", ["localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "[::1", "", "1", *ODD]
)
async def test_request_with_similar_host_is_refused(site: Site, host: str) -> None:
    assert (await asked(site, "/api/status", Host=host))[0] == 421


@pytest.mark.parametrize("host", ["warm.example.org", "Warm.Example.org:443", "warm.example.org."])
async def test_request_with_host_from_settings_is_served(tmp_path: Path, host: str) -> None:
    async with running_site(tmp_path, hosts=["warm.example.ORG"]) as site:
        assert await asked(site, "/api/status", Host=host) == (200, "")
        assert (await asked(site, "/api/status", Host=f"x{host}"))[0] == 421


async def test_request_without_host_is_served(site: Site) -> None:
    """HAProxy's plain health check sends HTTP/1.0 without a host."""
    url = site.client.make_url("/")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""])
@pytest.mark.parametrize("path", ["/api/status", "/api/events", "/metrics"])
async def test_read_from_foreign_origin_is_refused(site: Site, path: str, origin: str) -> None:
    assert await asked(site, path, Origin=origin) == (403, "foreign_origin")


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("https://warm.example.org:8443", "let the proxy forward Host with its port"),
        ("https://other.example.org", "add its host to listen.hosts"),
        ("http://[", "add its host to listen.hosts"),
    ],
)
async def test_refused_origin_is_answered_with_its_remedy(tmp_path: Path, origin: str, said: str) -> None:
    """A proxy that forwards Host without its port refuses its own page on any port but the default one."""
    async with running_site(tmp_path, hosts=["warm.example.org"]) as site:
        headers = {"Host": "warm.example.org", "Origin": origin}
        async with site.client.get("/api/status", headers=headers) as response:
            assert response.status == 403
            assert said in (await response.json())["error"]["message"]


REPEATED = [
    [("Origin", "{own}"), ("Origin", "http://evil.example")],
    [("Origin", "http://evil.example"), ("Origin", "{own}")],
    [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
    [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin")],
]


@pytest.mark.parametrize("headers", REPEATED)
async def test_repeated_header_hides_no_foreign_page(site: Site, headers: list[tuple[str, str]]) -> None:
    own = str(site.client.make_url("/").origin())
    sent = CIMultiDict([(name, value.format(own=own)) for name, value in headers])
    async with site.client.get("/api/status", headers=sent) as response:
        assert response.status == 403


@pytest.mark.parametrize("spelling", ["ftp://{host}", "//{host}", "{host}", "http://{host}/evil", "http://x@{host}"])
async def test_own_host_in_what_is_not_an_origin_is_refused(site: Site, spelling: str) -> None:
    origin = spelling.format(host=site.client.make_url("/").authority)
    assert await asked(site, "/api/status", Origin=origin) == (403, "foreign_origin")


@pytest.mark.parametrize("site_word", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/status", "/api/events", "/status"])
async def test_read_from_cross_site_fetch_is_refused(site: Site, path: str, site_word: str) -> None:
    headers = {**CROSS, "Sec-Fetch-Site": site_word}
    assert await asked(site, path, **headers) == (403, "foreign_origin")


async def test_cross_site_link_is_served_but_not_in_frame_or_post(site: Site) -> None:
    assert await asked(site, "/status", **LINK) == (200, "")
    assert (await asked(site, "/status", **{**LINK, "Sec-Fetch-Dest": "iframe"}))[0] == 403
    assert (await asked(site, f"/api/servers/{COLD}/warm", "POST", **LINK))[0] == 403
    assert site.operator.actions == []


async def test_action_from_page_behind_renaming_proxy_is_accepted(tmp_path: Path) -> None:
    path = f"/api/servers/{COLD}/warm"
    async with running_site(tmp_path, hosts=["warm.example.org"]) as site:
        assert (await asked(site, path, "POST", Origin="https://warm.example.org"))[0] == 202
        assert (await asked(site, path, "POST", Origin="https://warm.example.org:8443"))[0] == 403


async def test_response_allows_no_cross_origin_read(site: Site) -> None:
    for headers in ({}, {"Origin": str(site.client.make_url("/").origin())}):
        async with site.client.get("/api/status", headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_refusal_has_security_headers(site: Site) -> None:
    async with site.client.get("/status", headers={"Host": "rebound.example"}) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
