"""The reloader alone: links, changes during the start, and internal errors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from statemachine.core.messages import Message
from statemachine.core.vocabulary import Notice
from statemachine.daemon.config import SettingsFile, load_config
from statemachine.daemon.process import in_background
from statemachine.daemon.reload import SETTLE_MS, Reloader
from statemachine.daemon.systemd import ServiceManager
from statemachine.fleet.diff import Changes, LoadedConfig
from statemachine.i18n.render import render
from statemachine.settings import Settings, load_settings
from tests.support.paths import WORKFLOWS
from tests.support.polling import wait_until


class Site:
    """A reloader, and what it applies. `intervals` has the check interval of each configuration applied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.intervals: list[float] = []
        self.notices: list[Notice] = []
        self.details: list[str] = []
        self.faults: list[Exception] = []
        self.config = load_config(self._load())
        self.reloader = Reloader(self._source, lambda: self.config, self._apply, self._notify, ServiceManager())

    @property
    def _source(self) -> SettingsFile:
        return SettingsFile(self.path, self._load)

    def _load(self) -> Settings:
        return load_settings(self.path, {})

    async def _apply(self, fresh: LoadedConfig) -> Changes:
        if self.faults:
            raise self.faults.pop()
        self.config = fresh
        self.intervals.append(fresh.settings.timing.check_interval_s)
        return Changes((), (), ())

    def _notify(self, notice: Notice, detail: Message) -> None:
        self.notices.append(notice)
        self.details.append(render(detail, "en"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the reloader within the block, which begins after the first reload."""
        async with in_background(self.reloader.run()):
            await wait_until(lambda: bool(self.intervals))
            yield


def write(path: Path, interval_s: float, **more: Any) -> Path:
    """Write a settings file with this check interval; return its path."""
    path.parent.mkdir(exist_ok=True)
    settings = {
        "servers": ["http://127.0.0.1:8188"],
        "workflows_dir": str(WORKFLOWS),
        "timing": {"check_interval_s": interval_s},
        **more,
    }
    path.write_text(json.dumps(settings))
    return path


async def test_reloader_change_during_start_is_applied(tmp_path: Path) -> None:
    site = Site(write(tmp_path / "settings.json", 60))
    write(tmp_path / "settings.json", 70)
    async with site.running():
        assert site.intervals == [70]
        assert site.notices == [Notice.SETTINGS_RELOADED]


async def test_reloader_unchanged_files_send_no_notice(tmp_path: Path) -> None:
    site = Site(write(tmp_path / "settings.json", 60))
    async with site.running():
        site.reloader.request()
        await wait_until(lambda: len(site.intervals) == 2)
        assert site.notices == []


async def test_reloader_names_the_settings_that_changed(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    site = Site(write(path, 60))
    async with site.running():
        write(path, 70, restart={"command": ["restart-comfyui"]})
        await wait_until(lambda: len(site.notices) == 1)
    assert site.details == ["servers added 0, removed 0, changed 0; settings changed: restart, timing"]


async def test_reloader_names_waiting_settings_once_for_each_change(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    site = Site(write(path, 60))
    later = {"listen": {"port": 8800, "public_url": "https://a.example"}, "logging": {"level": "DEBUG"}, "gateway": {}}
    async with site.running():
        write(path, 60, **later)
        await wait_until(lambda: len(site.notices) == 1)
        site.reloader.request()
        await wait_until(lambda: len(site.intervals) == 3)
        assert len(site.notices) == 1
        write(path, 70)
        await wait_until(lambda: len(site.notices) == 2)
    assert site.details[0].endswith(
        "restart the daemon to change listen.port, logging.level; restart the gateway to change gateway"
    )
    assert "restart" not in site.details[1]


async def test_reloader_continues_after_internal_error(tmp_path: Path) -> None:
    site = Site(write(tmp_path / "settings.json", 60))
    async with site.running():
        site.faults.append(RuntimeError("internal"))
        site.reloader.request()
        await wait_until(lambda: site.notices == [Notice.SETTINGS_REFUSED])
        site.reloader.request()
        await wait_until(lambda: site.notices == [Notice.SETTINGS_REFUSED, Notice.SETTINGS_RELOADED])


@pytest.mark.parametrize("swapped", ["the file that the link leads to", "the link", "a link to the folder"])
async def test_reloader_watches_settings_behind_links(tmp_path: Path, swapped: str) -> None:
    old = write(tmp_path / "old" / "settings.json", 60)
    link = tmp_path / "etc" / "settings.json"
    if swapped == "a link to the folder":
        link.parent.symlink_to(old.parent)
    else:
        link.parent.mkdir()
        link.symlink_to(old)
    site = Site(link)
    async with site.running():
        if swapped == "the file that the link leads to":
            write(old, 70)
        else:
            moved = link if link.is_symlink() else link.parent
            new = write(tmp_path / "new" / "settings.json", 70)
            (tmp_path / "fresh").symlink_to(new if moved is link else new.parent)
            (tmp_path / "fresh").replace(moved)
        await wait_until(lambda: site.intervals[-1] == 70)


async def test_reloader_ignores_other_files_beside_the_settings(tmp_path: Path) -> None:
    site = Site(write(tmp_path / "settings.json", 60))
    async with site.running():
        (tmp_path / "targets.json").write_text("[]")
        await asyncio.sleep(2 * SETTLE_MS / 1000)
        write(tmp_path / "settings.json", 70)
        await wait_until(lambda: site.intervals[-1] == 70)
    assert site.intervals == [60, 70]


async def test_background_task_failure_is_logged() -> None:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), backtrace=False, diagnose=False)

    async def fail() -> None:
        raise OSError("the disk is gone")

    async with in_background(fail()):
        await asyncio.sleep(0)
    logger.remove(sink)
    assert "fail failed and has ended" in lines[0]
    assert "the disk is gone" in lines[0]
