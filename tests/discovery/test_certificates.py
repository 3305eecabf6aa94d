"""The CA files of sources: one that is away for a moment stops no source, and a refused reload is not applied later."""

from pathlib import Path
from random import Random

import pytest

from statemachine.comfyui.network import TlsContexts
from statemachine.core.messages import Message
from statemachine.core.ports import Clock
from statemachine.core.vocabulary import Notice
from statemachine.daemon.discovered import DiscoveredFleet
from statemachine.discovery.service import Discovery
from statemachine.discovery.sources import new_source
from statemachine.discovery.store import FileStore, source_ca_files
from statemachine.fleet.diff import LoadedConfig
from statemachine.settings import Settings, parse_settings, resolve_servers
from tests.security.authority import Authority

pytestmark = pytest.mark.looptime
URL = "https://127.0.0.1:8188"


def settings_with(folder: Path, ca_file: Path, *names: str) -> Settings:
    tls = {"ca_file": str(ca_file)}
    sources = [{"kind": "file", "name": name, "path": f"{name}.json", "tls": tls} for name in names]
    return parse_settings({"discovery": sources, "servers": [{"url": URL, "tls": tls}]}, folder, {})


def test_file_that_is_away_stays_trusted_as_it_was(tmp_path: Path) -> None:
    authority, contexts = Authority(tmp_path), TlsContexts()
    settings = settings_with(tmp_path, authority.file, "rack")
    servers = resolve_servers(settings)
    assert source_ca_files(settings) == {authority.file}
    contexts.trust(source_ca_files(settings))
    context = contexts.context(servers[0])
    authority.file.unlink()
    contexts.renew(servers)
    assert contexts.context(servers[0]) is context
    with pytest.raises(FileNotFoundError):
        TlsContexts().renew(servers)


async def test_reload_that_fails_is_not_applied_later(tmp_path: Path) -> None:
    ca_file = Authority(tmp_path).file
    clock = Clock(now=lambda: 0.0, uniform=Random(1).random, new_id=lambda: "id")

    def ignore(_notice: Notice, _detail: Message) -> None:
        return

    discovery = Discovery(new_source, ignore, FileStore(tmp_path), clock)
    before, after = (
        LoadedConfig(settings, resolve_servers(settings), {})
        for settings in (settings_with(tmp_path, ca_file, "a"), settings_with(tmp_path, ca_file, "a", "b"))
    )
    fleet = DiscoveredFleet(before, discovery)
    with pytest.raises(OSError, match="no room"), fleet.reloading(after):
        raise OSError("no room")
    assert fleet.config.settings is before.settings
    assert [one.source.name for one in discovery.followed] == ["a"]
    with fleet.reloading(after):
        pass
    assert [one.source.name for one in discovery.followed] == ["a", "b"]
