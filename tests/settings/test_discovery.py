"""The section `discovery`: each problem names its key, as in the file."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import SettingsError, parse_settings
from statemachine.settings.masking import secrets_in
from statemachine.settings.model import source_groups
from tests.settings.samples import BASE_DIR, parse, problems

FILE: dict[str, Any] = {"kind": "file", "name": "rack", "path": "targets.json"}
HTTP: dict[str, Any] = {"kind": "http", "name": "cloud", "url": "https://inventory.example.com/sd?key=geheim"}
DNS: dict[str, Any] = {"kind": "dns", "name": "lab", "host": "_comfyui._tcp.lab.example.com", "record": "SRV"}
PODS: dict[str, Any] = {"kind": "kubernetes", "name": "pods", "service": "comfyui"}
NODES: dict[str, Any] = {"kind": "register", "name": "nodes"}


def test_sources_need_no_servers() -> None:
    settings = parse_settings({"discovery": [FILE, HTTP, DNS, PODS, NODES]}, BASE_DIR, {})
    assert [one.kind for one in settings.discovery] == ["file", "http", "dns", "kubernetes", "register"]
    assert settings.servers == ()
    first = settings.discovery[0]
    assert first.kind == "file"
    assert first.path == BASE_DIR / "targets.json"


@pytest.mark.parametrize("data", [{}, {"servers": []}, {"discovery": []}, {"servers": [], "discovery": []}])
def test_settings_without_servers_and_sources_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(data, BASE_DIR, {})
    assert [problem.path for problem in caught.value.problems] == ["servers"]


def test_missing_servers_are_reported_beside_other_problems() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"timing": {"retry_s": "2"}}, BASE_DIR, {})
    assert {problem.path for problem in caught.value.problems} == {"servers", "timing.retry_s"}


@pytest.mark.parametrize(
    ("source", "path", "text"),
    [
        ({"name": "a"}, "discovery[0].kind", "required key is missing"),
        ({"kind": "consul", "name": "a"}, "discovery[0].kind", "found 'consul'"),
        ({"kind": "file", "name": "a"}, "discovery[0].path", "required key is missing"),
        ({"kind": "file", "path": "a.json"}, "discovery[0].name", "required key is missing"),
        ({**FILE, "paht": 1}, "discovery[0].paht", 'did you mean "path"?'),
        ({**FILE, "intervall_s": 1}, "discovery[0].intervall_s", "known keys: "),
        ({**HTTP, "interval": 1}, "discovery[0].interval", 'did you mean "interval_s"?'),
        ({**FILE, "grace_s": -1}, "discovery[0].grace_s", "found -1"),
        ({**FILE, "name": "a/b"}, "discovery[0].name", "found 'a/b'"),
        ({**FILE, "group_label": "1a"}, "discovery[0].group_label", "found '1a'"),
        ({**FILE, "headers": {"a b": "c"}}, "discovery[0].headers['a b']", "this name"),
        ({**HTTP, "url": "ftp://a"}, "discovery[0].url", "an http or https URL"),
        ({**HTTP, "url": "http://user:pw@a/sd"}, "discovery[0].url", "an http or https URL"),
        ({**HTTP, "token": "a b"}, "discovery[0].token", "a secret"),
        ({**DNS, "record": "MX"}, "discovery[0].record", "found 'MX'"),
        ({**DNS, "port": 0}, "discovery[0].port", "found 0"),
        ({**DNS, "nameserver": "dns.example.com:53"}, "discovery[0].nameserver", "IP address and port"),
        ({**DNS, "nameserver": "::1:53"}, "discovery[0].nameserver", "IP address and port"),
        ({**PODS, "service": "Comfy UI"}, "discovery[0].service", "a name in Kubernetes"),
        ({**NODES, "heartbeat_s": 0}, "discovery[0].heartbeat_s", "found 0"),
        ({**FILE, "restart": {"when_stuck": True}}, "discovery[0].restart.when_stuck", ""),
        ("http://a", "discovery[0]", "an object"),
    ],
)
def test_wrong_source_is_refused_with_its_key(source: Any, path: str, text: str) -> None:
    found = problems(discovery=[source])
    assert list(found) == [path]
    assert text in str(found[path])
    assert "pw" not in str(found[path])


def test_names_are_unique_and_servers_register_at_one_source() -> None:
    found = problems(discovery=[NODES, {**FILE, "name": "nodes"}, {**NODES, "name": "others"}])
    assert set(found) == {"discovery[1].name", "discovery[2].kind"}


@pytest.mark.parametrize("address", ["127.0.0.1:53", "[::1]:8600"])
def test_nameserver_is_an_address_with_a_port(address: str) -> None:
    assert parse(discovery=[{**DNS, "nameserver": address}]).discovery[0].name == "lab"


def test_secrets_of_a_source_are_masked() -> None:
    settings = parse(discovery=[{**HTTP, "token": "token-geheim", "headers": {"X-Key": "kopf-geheim"}}])
    found = {one.get_secret_value() for one in secrets_in(settings)}
    assert found == {HTTP["url"], "token-geheim", "kopf-geheim"}
    assert "geheim" not in repr(settings)


def test_groups_of_rules_may_come_from_sources() -> None:
    window = {"name": "night", "at": "02:00", "duration": "1h", "zone": "UTC", "groups": ["rented"]}
    assert "maintenance[0].groups[0]" in problems(maintenance=[window])
    rented = {**FILE, "group": "rented"}
    labelled = {**FILE, "group_label": "pool"}
    for source in (rented, labelled):
        assert parse(discovery=[source], maintenance=[window]).maintenance[0].groups == ("rented",)


def test_certificate_of_a_source_is_verified(tmp_path: Path) -> None:
    source = {**FILE, "tls": {"ca_file": str(tmp_path / "missing.pem")}}
    assert list(problems(discovery=[source])) == ["discovery[0].tls.ca_file"]


def test_source_groups_are_those_that_every_server_of_a_source_has() -> None:
    sources = [
        {**FILE, "group": "gpu", "workflows": ["portrait", "video"]},
        {**DNS, "group": "gpu"},
        {**HTTP, "group_label": "pool"},
        NODES,
    ]
    settings = parse_settings({"discovery": sources}, BASE_DIR, {})
    usual = tuple(one.name for one in settings.workflows)
    assert source_groups(settings) == {"gpu": [("portrait", "video"), usual], "default": [usual]}
