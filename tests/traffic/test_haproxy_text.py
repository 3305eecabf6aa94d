"""The backend that `comfywarm haproxy` prints; tests/deploy lets HAProxy validate it."""

from pathlib import Path

import pytest
import trustme

from tests.cli.rig import cli, write_settings
from tests.support.paths import DEPLOY

EXAMPLE = ["http://192.0.2.[144-147]:8188"]
SHIPPED = DEPLOY / "haproxy" / "haproxy.cfg"


async def test_haproxy_prints_shipped_example(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, servers=EXAMPLE, traffic={"agent_port": 8798})
    printed = await cli(settings, "haproxy")
    assert printed.exit_code == 0
    head, backend = SHIPPED.read_text(encoding="utf-8").split("\nbackend ")
    assert printed.stdout == f"backend {backend}"
    assert "default_backend comfyui" in head


async def test_haproxy_of_one_group_prints_named_backend(tmp_path: Path) -> None:
    servers = [{"url": "http://192.0.2.1:8188"}, {"url": "http://192.0.2.2:8188", "group": "lab"}]
    settings = write_settings(tmp_path, servers=servers, traffic={"agent_host": "0.0.0.0", "agent_port": 8798})
    printed = await cli(settings, "haproxy", "--group", "lab", "--backend", "lab", "--agent-addr", "192.0.2.9")
    assert printed.stdout.startswith("backend lab\n")
    assert "192.0.2.1:8188" not in printed.stdout
    assert "agent-addr 192.0.2.9 agent-port 8798" in printed.stdout
    assert 'agent-send "192.0.2.2:8188\\n"' in printed.stdout


async def test_haproxy_escapes_names_and_addresses(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "own ca.pem"))
    servers = [
        {"url": "https://gpu.example", "name": '工 "$b', "tls": {"ca_file": "own ca.pem"}},
        {"url": "https://192.0.2.1/comfy", "name": "studio"},
        "http://[2001:db8::1]",
    ]
    settings = write_settings(tmp_path, servers=servers, traffic={"agent_port": 8798})
    lines = (await cli(settings, "haproxy")).stdout.splitlines()[-3:]
    assert 'agent-send "\\xe5\\xb7\\xa5\\x20\\x22\\x24b\\n"' in lines[0]
    assert 'gpu.example:443 ssl verify required ca-file "' in lines[0]
    assert 'own\\x20ca.pem" sni str(gpu.example) verifyhost gpu.example' in lines[0]
    assert lines[1].startswith("    # studio: left out")
    assert "[2001:db8::1]:80 cookie" in lines[2]


@pytest.mark.parametrize(
    ("traffic", "arguments", "sentence"),
    [
        ({}, [], "traffic.agent_port"),
        ({"agent_port": 0}, [], "traffic.agent_port"),
        ({"agent_port": 8798, "agent_host": "::"}, [], "--agent-addr"),
        ({"agent_port": 8798}, ["--group", "lab"], "available: default"),
    ],
)
async def test_haproxy_with_unusable_settings_exits_with_1(
    tmp_path: Path, traffic: dict[str, object], arguments: list[str], sentence: str
) -> None:
    result = await cli(write_settings(tmp_path, traffic=traffic), "haproxy", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert sentence in result.stderr
