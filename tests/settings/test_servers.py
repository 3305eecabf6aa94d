"""The configuration of each server."""

from statemachine.settings import CacheCheckSettings, resolve_servers
from tests.settings.samples import parse


def test_resolve_servers_plain_string_uses_top_level_values() -> None:
    settings = parse(servers=["http://192.0.2.1:8188/"], workflows=["a", "b"], cache_check={"kind": "inspire"})
    (server,) = resolve_servers(settings)
    assert (server.name, server.url) == ("192.0.2.1:8188", "http://192.0.2.1:8188")
    assert (server.group, server.host) == ("default", "192.0.2.1")
    assert server.workflows == ("a", "b")
    assert server.cache_check == CacheCheckSettings(kind="inspire")
    assert dict(server.headers) == {}


def test_resolve_servers_entry_overrides_top_level() -> None:
    entry = {"url": "http://h", "name": "画室", "group": "lab", "workflows": ["c"], "headers": {"X-A": "1"}}
    (server,) = resolve_servers(parse(servers=[entry]))
    assert (server.name, server.group, server.workflows) == ("画室", "lab", ("c",))
    assert server.headers["X-A"].get_secret_value() == "1"


def test_resolve_servers_cache_check_is_merged_by_key() -> None:
    entry = {"url": "http://h", "cache_check": {"kind": "text"}}
    (server,) = resolve_servers(parse(servers=[entry], cache_check={"kind": "history", "path": "/my/check"}))
    assert server.cache_check == CacheCheckSettings(kind="text", path="/my/check")


def test_resolve_servers_same_host_is_equal() -> None:
    servers = resolve_servers(parse(servers=["http://H:[1-3]", "http://h/other"]))
    assert {server.host for server in servers} == {"h"}
