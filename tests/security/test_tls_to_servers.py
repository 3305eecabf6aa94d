"""Servers behind TLS with a private authority: warmed if it is trusted, else unreachable with the reason."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.simulator import PROFILES
from tests.faults.harness import watched
from tests.faults.proxy import FaultProxy
from tests.security.authority import Authority


async def test_server_with_trusted_private_authority_is_warmed(tmp_path: Path) -> None:
    authority, proxy = Authority(tmp_path), FaultProxy(PROFILES["cold"])
    async with (
        proxy.listening(authority.certify("127.0.0.1").server_context()),
        watched(tmp_path, proxy.url, tls={"ca_file": authority.file.name}) as scene,
    ):
        await scene.until_state("loaded")
        detail = await scene.until(lambda detail: detail["link"]["connected"])
        assert detail["url"].startswith("https:")
        assert len(proxy.posts) == 1


async def test_server_with_own_ca_file_overrides_common_one(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    right, wrong = FaultProxy(PROFILES["loaded"]), FaultProxy(PROFILES["loaded"])
    async with (
        right.listening(theirs.certify("127.0.0.1").server_context()),
        wrong.listening(ours.certify("127.0.0.1").server_context()),
    ):
        own: dict[str, Any] = {"url": right.url, "name": "right", "tls": {"ca_file": theirs.file.name}}
        async with watched(tmp_path, wrong.url, own, tls={"ca_file": theirs.file.name}) as scene:
            await scene.wait_for_state("right", "loaded")
            await scene.until_state("unreachable")


@pytest.mark.parametrize("settings", [{}, {"tls": {"ca_file": "other-ca.pem"}}], ids=["none", "another"])
async def test_server_with_untrusted_certificate_is_unreachable(tmp_path: Path, settings: dict[str, Any]) -> None:
    Authority(tmp_path, "other")
    proxy = FaultProxy(PROFILES["cold"])
    tls = Authority(tmp_path).certify("127.0.0.1").server_context()
    async with proxy.listening(tls), watched(tmp_path, proxy.url, **settings) as scene:
        detail = await scene.until_state("unreachable")
        assert "the certificate is not trusted" in detail["message"]
        assert "tls.ca_file" in detail["message"]
        assert "the certificate is not trusted" in detail["link"]["trouble"]
        assert (proxy.requests, proxy.posts) == ({}, [])


async def test_server_with_certificate_for_other_name_is_unreachable(tmp_path: Path) -> None:
    authority, proxy = Authority(tmp_path), FaultProxy(PROFILES["cold"])
    tls = authority.certify("other.example").server_context()
    async with proxy.listening(tls), watched(tmp_path, proxy.url, tls={"ca_file": authority.file.name}) as scene:
        detail = await scene.until_state("unreachable")
        assert "the certificate is for another name: IP address mismatch" in detail["message"]
        assert "tls.ca_file" not in detail["message"]
        assert proxy.requests == {}
