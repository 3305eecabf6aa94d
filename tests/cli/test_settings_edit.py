"""`init` and `add` write a settings file that loads, and never damage one."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from statemachine.settings import load_settings, resolve_servers
from tests.cli.rig import cli


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


async def test_init_and_add_give_a_file_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert (await cli(path, "init")).exit_code == 0
    assert "comfywarm add" in (await cli(path, "status")).stderr
    assert (await cli(path, "add", "192.0.2.1:8188", "https://192.0.2.2")).exit_code == 0
    added = await cli(path, "add", "http://192.0.2.3:8188", "--name", "three", "--group", "video")
    assert "http://192.0.2.3:8188" in added.stdout
    servers = resolve_servers(load_settings(path, {}))
    assert [(one.url, one.name, one.group) for one in servers] == [
        ("http://192.0.2.1:8188", "192.0.2.1:8188", "default"),
        ("https://192.0.2.2", "192.0.2.2:443", "default"),
        ("http://192.0.2.3:8188", "three", "video"),
    ]


async def test_init_with_urls_is_complete(tmp_path: Path) -> None:
    assert (await cli(tmp_path / "s.json", "init", "192.0.2.[1-3]:8188")).exit_code == 0
    assert len(resolve_servers(load_settings(tmp_path / "s.json", {}))) == 3


@pytest.mark.parametrize("kind", ["file", "folder", "broken link"])
async def test_init_keeps_what_exists(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "settings.json"
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    result = await cli(path, "init")
    assert (result.exit_code, "already exists" in result.stderr) == (1, True)
    assert kind != "file" or path.read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


async def test_add_keeps_all_other_settings_mode_and_link(tmp_path: Path) -> None:
    real = tmp_path / "etc" / "real.json"
    real.parent.mkdir()
    before = {"servers": ["http://192.0.2.1:8188"], "listen": {"token": "${TOKEN}"}, "language": "zh"}
    real.write_text(json.dumps(before))
    real.chmod(0o640)
    path = tmp_path / "settings.json"
    path.symlink_to(real)
    os.environ["TOKEN"] = "t" * 20
    try:
        assert (await cli(path, "add", "192.0.2.2:8188")).exit_code == 0
    finally:
        del os.environ["TOKEN"]
    assert read(real) == {**before, "servers": ["http://192.0.2.1:8188", "http://192.0.2.2:8188"]}
    assert (path.is_symlink(), real.stat().st_mode & 0o777) == (True, 0o640)
    assert [one.name for one in real.parent.iterdir()] == ["real.json"]


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ('{"servers": ["http://192.0.2.1:8188"]}', ["192.0.2.1"], "already in"),
        ('{"servers": ["http://192.0.2.1:8188"]}', ["ftp://192.0.2.9"], "servers[1]"),
        (
            '{"servers": ["http://192.0.2.1:8188"]}',
            ["192.0.2.8:1", "192.0.2.9:1", "--name", "x"],
            "is for one server",
        ),
        ('{"servers": {}}', ["192.0.2.9:8188"], "list"),
        ("[]", ["192.0.2.9:8188"], "object"),
        ("{", ["192.0.2.9:8188"], "settings.json:1"),
        ('{"serverz": []}', ["192.0.2.9:8188"], "serverz"),
    ],
)
async def test_add_of_what_is_invalid_changes_nothing(
    tmp_path: Path, text: str, arguments: list[str], words: str
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    result = await cli(path, "add", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert path.read_text() == text


async def test_add_without_settings_file_names_init(tmp_path: Path) -> None:
    result = await cli(tmp_path / "settings.json", "add", "192.0.2.1:8188")
    assert (result.exit_code, "comfywarm init" in result.stderr) == (1, True)


async def test_init_in_missing_folder_names_it(tmp_path: Path) -> None:
    result = await cli(tmp_path / "none" / "settings.json", "init")
    assert result.exit_code == 1
    assert "none" in result.stderr
    assert "Errno" not in result.stderr


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("192.0.2.1", "http://192.0.2.1:8188"),
        ("gpu.example/comfy", "http://gpu.example:8188/comfy"),
        ("[2001:db8::1]", "http://[2001:db8::1]:8188"),
        ("192.0.2.[1-9:2]", "http://192.0.2.[1-9:2]:8188"),
        ("192.0.2.1:80", "http://192.0.2.1:80"),
        ("192.0.2.1:[8188-8190]", "http://192.0.2.1:[8188-8190]"),
        ("[2001:db8::1]:9000", "http://[2001:db8::1]:9000"),
        ("https://192.0.2.1", "https://192.0.2.1"),
    ],
)
@pytest.mark.parametrize("command", ["init", "add"])
async def test_address_without_port_gets_port_of_comfyui(tmp_path: Path, command: str, given: str, url: str) -> None:
    path = tmp_path / "settings.json"
    if command == "add":
        path.write_text('{"servers": []}')
    result = await cli(path, command, given)
    assert (result.exit_code, read(path)["servers"]) == (0, [url])
    assert ("default port 8188 is used" in result.stdout) == (":8188" in url and ":8188" not in given)


async def test_add_of_http_without_port_warns(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"language": "zh", "servers": []}')
    result = await cli(path, "add", "http://192.0.2.1")
    assert read(path)["servers"] == ["http://192.0.2.1"]
    assert "使用端口 80" in result.stdout


async def test_add_of_two_servers_with_one_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"servers": []}')
    result = await cli(path, "add", "192.0.2.1", "192.0.2.2", "--name", "a")
    assert (result.exit_code, 'the name "a" is for one server' in result.stderr) == (1, True)
    assert read(path) == {"servers": []}


async def test_add_of_range_names_servers_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"servers": [{"url": "http://192.0.2.[1-2]:8188/"}]}')
    result = await cli(path, "add", "192.0.2.[2-4]", "192.0.2.9")
    assert (result.exit_code, "already in" in result.stderr) == (1, True)
    assert "http://192.0.2.2:8188;" in result.stderr
    assert len(read(path)["servers"]) == 1


async def test_remove_by_name_and_url_keeps_the_others(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    kept, named = "http://192.0.2.3:8188", {"url": "http://192.0.2.2:8188/comfy", "name": "two"}
    servers = ["http://192.0.2.1:8188/", named, kept, "http://192.0.2.[4-5]:8188", "http://192.0.2.9"]
    path.write_text(json.dumps({"servers": servers, "language": "en"}))
    result = await cli(path, "remove", "192.0.2.1:8188", "two", "192.0.2.[4-5]", "192.0.2.9:80")
    assert result.exit_code == 0
    assert "http://192.0.2.2:8188/comfy" in result.stdout
    assert read(path) == {"servers": [kept], "language": "en"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["192.0.2.1", "192.0.2.7"], "not in"),
        (["three"], "three"),
        (["192.0.2.2"], "part of the range http://192.0.2.[2-3]:8188"),
        (["ftp://192.0.2.1:8188"], "not in"),
    ],
)
async def test_remove_that_cannot_be_done_changes_nothing(tmp_path: Path, given: list[str], words: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text := '{"servers": ["http://192.0.2.1:8188", {"url": "http://192.0.2.[2-3]:8188"}]}')
    result = await cli(path, "remove", *given)
    assert (result.exit_code, words in result.stderr, path.read_text()) == (1, True, text), result.stderr


async def test_last_server_is_removed_only_where_sources_name_others(tmp_path: Path) -> None:
    """Without both, the daemon could not start again."""
    path = tmp_path / "settings.json"
    await cli(path, "init", "192.0.2.1")
    refused = await cli(path, "remove", "192.0.2.1")
    assert (refused.exit_code, "no server left" in refused.stderr) == (1, True)
    assert read(path)["servers"] == ["http://192.0.2.1:8188"]
    path.write_text(json.dumps({**read(path), "discovery": [{"kind": "file", "name": "rack", "path": "rack.json"}]}))
    assert (await cli(path, "remove", "192.0.2.1")).exit_code == 0
    assert read(path)["servers"] == []
