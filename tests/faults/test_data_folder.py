"""The data folder is taken away, replaced or overwritten while a daemon runs, or something is planted in it."""

import asyncio
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from statemachine.journal.store import JOURNAL_FILE
from statemachine.settings.running_port import LOCK_FILE
from statemachine.simulator import PROFILES
from tests.faults.harness import Harness, assert_no_duplicate_posts, watched
from tests.faults.process import Program
from tests.faults.proxy import FaultProxy
from tests.faults.table import Row
from tests.faults.test_host import bare
from tests.support.polling import wait_until


def replace_folder(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "folder-removed": shutil.rmtree,
    "folder-replaced": replace_folder,
    "journal-emptied": lambda data: os.truncate(data / JOURNAL_FILE, 0),
    "wal-removed": lambda data: (data / f"{JOURNAL_FILE}-wal").unlink(),
}


async def healthz(harness: Harness) -> object:
    return await harness.get("/healthz")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_data_folder_taken_away_stops_submissions(
    tmp_path: Path, expected: Row, damage: Callable[[Path], object]
) -> None:
    """The server becomes cold right after the damage: either the beat or the submission itself notices."""
    program, proxy = Program(), FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_state("loaded")
        damage(tmp_path / "data")
        proxy.server.drop_keys(keep_executor=False)
        await harness.until(lambda detail: detail["state"] == "cold" and set(expected.notices) <= set(harness.notices))
        assert await healthz(harness) == {"alive": True, "journal": False}
        checks = (await harness.detail("faulty"))["counters"]["checks"]
        await harness.until(lambda detail: detail["counters"]["checks"] >= checks + 5)
        assert proxy.posts == []
        assert any(str(tmp_path / "data") in line and expected.words[0] in line for line in program.lines)
    assert not any("Traceback" in line for line in program.lines)
    assert (tmp_path / "data").exists() == (damage is not shutil.rmtree)


async def test_data_folder_that_comes_back_is_used_again(tmp_path: Path, expected: Row) -> None:
    program, proxy = Program(), FaultProxy(PROFILES["loaded"])
    async with proxy.listening(), watched(tmp_path, proxy.url, start=program.start) as harness:
        await harness.until_state("loaded")
        (tmp_path / "data").rename(tmp_path / "moved")
        await harness.until(lambda _: "journal_unavailable" in harness.notices)
        proxy.server.drop_keys(keep_executor=False)
        await harness.until(lambda detail: detail["reason"] == "journal_unavailable")
        assert (await harness.detail("faulty"))["state"] == "cold"
        assert proxy.posts == []
        (tmp_path / "moved").rename(tmp_path / "data")
        await harness.until_read(expected)
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


def has_ended(proxy: FaultProxy, count: int) -> bool:
    return len(proxy.ended) == count


async def test_second_daemon_after_the_lock_was_deleted_warms_alone(tmp_path: Path, expected: Row) -> None:
    first, second, proxy = Program(), Program(), FaultProxy(PROFILES["loaded"])
    (tmp_path / "second").mkdir()
    async with proxy.listening(), watched(tmp_path, proxy.url, start=first.start) as one:
        await one.until_state("loaded")
        (tmp_path / "data" / LOCK_FILE).unlink()
        folder = str(tmp_path / "data")
        async with watched(tmp_path / "second", proxy.url, start=second.start, data_dir=folder) as two:
            await two.until_state("loaded")
            await one.until(lambda _: set(expected.notices) <= set(one.notices))
            for warmed in range(1, 4):
                proxy.server.drop_keys(keep_executor=False)
                await wait_until(partial(has_ended, proxy, warmed))
                await asyncio.gather(one.until_state("loaded"), two.until_state("loaded"))
            assert (await one.detail("faulty"))["counters"].get("submissions", 0) == 0
            assert (await two.detail("faulty"))["counters"]["submissions"] == 3
        assert any(expected.words[0] in line for line in first.lines)
    assert_no_duplicate_posts(proxy)


def planted(data: Path, name: str, kind: str) -> None:
    target = data / "precious"
    target.write_text("precious", encoding="ascii")
    plant: dict[str, Callable[[], None]] = {
        "link": lambda: (data / name).symlink_to(target),
        "hard-link": lambda: (data / name).hardlink_to(target),
        "pipe": lambda: os.mkfifo(data / name),
    }
    plant[kind]()


@pytest.mark.parametrize(
    ("name", "kind"),
    [(LOCK_FILE, "link"), (LOCK_FILE, "pipe"), (JOURNAL_FILE, "link"), (JOURNAL_FILE, "hard-link")],
    ids=["lock-link", "lock-pipe", "journal-link", "journal-hard-link"],
)
async def test_planted_file_refuses_the_start(tmp_path: Path, expected: Row, name: str, kind: str) -> None:
    data = tmp_path / "data"
    data.mkdir()
    planted(data, name, kind)
    text = await Program().refused(tmp_path, bare())
    assert "Traceback" not in text
    assert all(word in text for word in (*expected.words, str(data / name)))
    assert (data / "precious").read_text(encoding="ascii") == "precious"
