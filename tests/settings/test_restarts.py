"""The section `restart`: what is refused, and what an entry of `servers` changes."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import SettingsError, parse_settings, resolve_servers
from statemachine.settings.restarts import HttpHook, RestartSettings
from tests.settings.samples import CONTRACT_EXAMPLE

URL = "http://192.0.2.1:8188"


def restart_of(common: dict[str, Any] | None, own: dict[str, Any] | None = None, **env: str) -> RestartSettings:
    entry = {"url": URL} if own is None else {"url": URL, "restart": own}
    data = {"servers": [entry]} if common is None else {"servers": [entry], "restart": common}
    return resolve_servers(parse_settings(data, Path("/"), env))[0].restart


def test_restarts_are_off_by_default() -> None:
    assert restart_of(None).hook is None
    settings = parse_settings(CONTRACT_EXAMPLE, Path("/"), {"COMFYWARM_TOKEN": "a", "COMFY_TOKEN": "b"})
    assert {server.restart.hook for server in resolve_servers(settings)} == {None}


def test_entry_overrides_key_by_key() -> None:
    one = restart_of({"command": ["a"], "min_pause": "2h", "when_stuck": True}, {"drain_timeout_s": 5})
    assert (one.hook, one.min_pause_s, one.drain_timeout_s, one.when_stuck) == (("a",), 7_200.0, 5, True)


def test_hook_of_an_entry_replaces_the_common_one() -> None:
    one = restart_of({"command": ["a"]}, {"http": {"url": "/manager/reboot"}})
    assert isinstance(one.hook, HttpHook)
    assert restart_of({"http": {"url": "/reboot"}}, {"command": ["b", "c"]}).hook == ("b", "c")


@pytest.mark.parametrize(
    ("section", "path", "said"),
    [
        ({"command": []}, "restart.command", "a list with the program"),
        ({"command": [""]}, "restart.command", "a list with the program"),
        ({"command": "reboot now"}, "restart.command", "a list"),
        ({"command": ["a"], "http": {"url": "/b"}}, "restart", "either command or http"),
        ({"command": ["reboot", "${SECRET}"]}, "restart.command[1]", "every process list"),
        ({"http": {"url": "ftp://h/x"}}, "restart.http.url", "http or https URL"),
        ({"http": {"url": "https://me:secret@h/x"}}, "restart.http.url", "without user name and password"),
        ({"http": {"url": "//other/x"}}, "restart.http.url", "http or https URL"),
        ({"http": {"url": "reboot"}}, "restart.http.url", "http or https URL"),
        ({"http": {"url": "http://h/a b"}}, "restart.http.url", "http or https URL"),
        ({"http": {"url": "/x", "method": "TRACE"}}, "restart.http.method", "GET"),
        ({"command": ["a"], "min_pause": "soon"}, "restart.min_pause", "not a duration"),
        ({"command": ["a"], "max_age": "0s"}, "restart.max_age", "too short"),
        ({"command": ["a"], "schedule": "61 * * * *"}, "restart.schedule", "minute"),
        ({"command": ["a"], "schedule": "0 4 * * *", "time_zone": "Mars"}, "restart.time_zone", "zone"),
        ({"command": ["a"], "max_ram_percent": 101}, "restart.max_ram_percent", "at most 100"),
        ({"command": ["a"], "max_per_day": 0}, "restart.max_per_day", "at least 1"),
        ({"when_stuck": True}, "restart.when_stuck", "restart.command or restart.http as well"),
        ({"schedule": "0 4 * * *"}, "restart.schedule", "restart.command or restart.http as well"),
    ],
)
def test_bad_section_is_refused_by_key_with_what_is_allowed(section: dict[str, Any], path: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        restart_of(section, SECRET="a-secret-value")
    text = str(caught.value)
    assert f"{path}:" in text
    assert said in text
    assert "a-secret-value" not in text


def test_trigger_of_an_entry_needs_a_hook_there() -> None:
    with pytest.raises(SettingsError, match=r"servers\[0\]\.restart\.when_stuck"):
        restart_of(None, {"when_stuck": True})
    assert restart_of({"command": ["a"]}, {"when_stuck": True}).triggers == ("when_stuck",)


def test_secret_in_a_header_of_the_hook_is_accepted() -> None:
    hook = restart_of({"http": {"url": "/x", "headers": {"Authorization": "Bearer ${T}"}}}, T="hook-token").hook
    assert isinstance(hook, HttpHook)
    assert "hook-token" not in repr(hook)


@pytest.mark.parametrize(
    ("program", "found"), [("./a", "/etc/a"), ("b/a", "/etc/b/a"), ("/usr/a", "/usr/a"), ("a", "a")]
)
def test_program_with_a_slash_is_relative_to_the_settings(program: str, found: str) -> None:
    hook = {"restart": {"command": [program, "./b"]}}
    for data in ({"servers": [URL], **hook}, {"servers": [{"url": URL, **hook}]}):
        (server,) = resolve_servers(parse_settings(data, Path("/etc"), {}))
        assert server.restart.command == (found, "./b")
