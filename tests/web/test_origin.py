"""What a browser can be tricked into is refused: names that are not ours, and pages that are not ours."""

import asyncio
from pathlib import Path

import pytest

from tests.web.site import COLD, Site, running_site

ROUTES = ["/status", "/api/status", f"/api/servers/{COLD}", "/api/events", "/metrics", "/healthz", "/openapi.json"]
CROSS = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


async def asked(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    """Status, and the error's code where it is one. A stream is not waited for."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.client.request(method, path, headers=named) as response:
        failed = response.status >= 400
        return response.status, (await response.json())["error"]["code"] if failed else ""


@pytest.mark.parametrize("path", ROUTES)
async def test_a_name_that_is_not_ours_is_refused_everywhere(site: Site, path: str) -> None:
    assert await asked(site, path, Host="rebound.example:8799") == (421, "unknown_host")


async def test_under_a_name_that_is_not_ours_nothing_is_done(site: Site) -> None:
    foreign = {"Host": "rebound.example", "Origin": "http://rebound.example"}
    assert await asked(site, f"/api/servers/{COLD}/warm", "POST", **foreign) == (421, "unknown_host")
    assert site.operator.asked == []


OWN = ["127.0.0.1:8799", "127.0.0.1", "[::1]:8799", "localhost", "LOCALHOST.:8799", "warm.localhost", "192.0.2.7:80"]


@pytest.mark.parametrize("host", OWN)
async def test_addresses_and_localhost_are_ours(site: Site, host: str) -> None:
    assert await asked(site, "/api/status", Host=host) == (200, "")


@pytest.mark.parametrize("host", ["localhost.evil.example", "127.0.0.1.evil.example", "notlocalhost", "[::1", "", "1"])
async def test_what_only_looks_like_it_is_not(site: Site, host: str) -> None:
    assert (await asked(site, "/api/status", Host=host))[0] == 421


@pytest.mark.parametrize("host", ["warm.example.org", "Warm.Example.org:443", "warm.example.org."])
async def test_the_names_of_the_settings_are_ours(tmp_path: Path, host: str) -> None:
    async with running_site(tmp_path, hosts=["warm.example.ORG"]) as site:
        assert await asked(site, "/api/status", Host=host) == (200, "")
        assert (await asked(site, "/api/status", Host=f"x{host}"))[0] == 421


async def test_a_program_that_names_no_host_is_answered(site: Site) -> None:
    """HAProxy's plain check speaks HTTP/1.0 so."""
    url = site.client.make_url("/")
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""])
@pytest.mark.parametrize("path", ["/api/status", "/api/events", "/metrics"])
async def test_another_page_may_not_even_read(site: Site, path: str, origin: str) -> None:
    assert await asked(site, path, Origin=origin) == (403, "foreign_origin")


@pytest.mark.parametrize("site_word", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/api/status", "/api/events", "/status"])
async def test_what_the_browser_calls_another_site_is_refused(site: Site, path: str, site_word: str) -> None:
    headers = {**CROSS, "Sec-Fetch-Site": site_word}
    assert await asked(site, path, **headers) == (403, "foreign_origin")


async def test_a_link_may_be_followed_but_not_framed_or_posted(site: Site) -> None:
    assert await asked(site, "/status", **LINK) == (200, "")
    assert (await asked(site, "/status", **{**LINK, "Sec-Fetch-Dest": "iframe"}))[0] == 403
    assert (await asked(site, f"/api/servers/{COLD}/warm", "POST", **LINK))[0] == 403
    assert site.operator.asked == []


async def test_the_own_page_behind_a_proxy_that_changes_the_host(tmp_path: Path) -> None:
    path = f"/api/servers/{COLD}/warm"
    async with running_site(tmp_path, hosts=["warm.example.org"]) as site:
        assert (await asked(site, path, "POST", Origin="https://warm.example.org"))[0] == 202
        assert (await asked(site, path, "POST", Origin="https://warm.example.org:8443"))[0] == 403


async def test_nobody_else_is_told_that_he_may_read(site: Site) -> None:
    for headers in ({}, {"Origin": str(site.client.make_url("/").origin())}):
        async with site.client.get("/api/status", headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_refusals_have_the_security_headers_too(site: Site) -> None:
    async with site.client.get("/status", headers={"Host": "rebound.example"}) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
