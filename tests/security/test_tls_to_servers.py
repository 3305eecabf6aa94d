"""Servers behind TLS with a private authority: warmed where it is known, unreachable with a reason where it is not."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.simulator import PERSONAS
from tests.faults.front import Front
from tests.faults.scene import watched
from tests.security.authority import Authority


async def test_a_server_of_a_private_authority_is_warmed_from_end_to_end(tmp_path: Path) -> None:
    authority, front = Authority(tmp_path), Front(PERSONAS["cold"])
    async with (
        front.listening(authority.certify("127.0.0.1").server_context()),
        watched(tmp_path, front.url, tls={"ca_file": authority.file.name}) as scene,
    ):
        await scene.until_state("loaded")
        detail = await scene.until(lambda detail: detail["link"]["connected"])
        assert detail["url"].startswith("https:")
        assert len(front.posts) == 1


async def test_each_server_may_have_its_own_authority(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    right, wrong = Front(PERSONAS["loaded"]), Front(PERSONAS["loaded"])
    async with (
        right.listening(theirs.certify("127.0.0.1").server_context()),
        wrong.listening(ours.certify("127.0.0.1").server_context()),
    ):
        own: dict[str, Any] = {"url": right.url, "name": "right", "tls": {"ca_file": theirs.file.name}}
        async with watched(tmp_path, wrong.url, own, tls={"ca_file": theirs.file.name}) as scene:
            await scene.until_state("loaded", "right")
            await scene.until_state("unreachable")


@pytest.mark.parametrize("settings", [{}, {"tls": {"ca_file": "strangers-ca.pem"}}], ids=["none", "another"])
async def test_without_the_right_authority_nothing_is_believed(tmp_path: Path, settings: dict[str, Any]) -> None:
    Authority(tmp_path, "strangers")
    front = Front(PERSONAS["cold"])
    tls = Authority(tmp_path).certify("127.0.0.1").server_context()
    async with front.listening(tls), watched(tmp_path, front.url, **settings) as scene:
        detail = await scene.until_state("unreachable")
        assert "its certificate is not trusted" in detail["message"]
        assert "tls.ca_file" in detail["message"]
        assert "its certificate is not trusted" in detail["link"]["trouble"]
        assert (front.asked, front.posts) == ({}, [])


async def test_a_certificate_for_another_name_is_not_believed(tmp_path: Path) -> None:
    authority, front = Authority(tmp_path), Front(PERSONAS["cold"])
    tls = authority.certify("other.example").server_context()
    async with front.listening(tls), watched(tmp_path, front.url, tls={"ca_file": authority.file.name}) as scene:
        detail = await scene.until_state("unreachable")
        assert "its certificate is not trusted: IP address mismatch" in detail["message"]
        assert "tls.ca_file" not in detail["message"]
        assert front.asked == {}
