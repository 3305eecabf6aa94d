"""The last known targets survive a restart; a file that is damaged costs only that."""

import stat
from pathlib import Path

import pytest

from statemachine.discovery.store import FileStore, KnownTargets, read_targets, write_targets
from statemachine.journal.database import DISCOVERED_FILE
from statemachine.journal.private import DataFolderError
from tests.discovery.samples import target


def test_targets_are_read_as_they_were_written(tmp_path: Path) -> None:
    one = target("gpu1:8188", zone="x")
    known = KnownTargets({"a": (one, target("https://gw/comfy")), "b": ()}, {"a": {one.key: "first"}, "b": {}})
    write_targets(tmp_path, known)
    write_targets(tmp_path, known)
    assert read_targets(tmp_path) == known
    assert stat.S_IMODE((tmp_path / DISCOVERED_FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [DISCOVERED_FILE]


def test_missing_file_has_no_targets(tmp_path: Path) -> None:
    assert read_targets(tmp_path) == KnownTargets()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "sources": {}}', '{"version": 1, "sources": []}'])
async def test_damaged_file_has_no_targets(tmp_path: Path, text: str) -> None:
    (tmp_path / DISCOVERED_FILE).write_text(text)
    assert await FileStore(tmp_path).load() == KnownTargets()


def test_damaged_target_is_left_out(tmp_path: Path) -> None:
    good = '{"url": "http://gpu1:8188", "labels": {}}'
    bad = ['{"url": "http://gpu[1-9]:8188", "labels": {}}', '{"url": 3, "labels": {}}', "null", "{}"]
    bad += ['{"url": "http://gpu2:8188", "labels": []}', '{"url": "http://gpu3:8188", "labels": "a"}']
    text = f'{{"version": 1, "sources": {{"a": [{", ".join([*bad, good])}]}}}}'
    (tmp_path / DISCOVERED_FILE).write_text(text)
    assert [one.address.host for one in read_targets(tmp_path).targets["a"]] == ["gpu1"]


async def test_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("keep")
    (tmp_path / DISCOVERED_FILE).symlink_to(other)
    with pytest.raises(DataFolderError):
        read_targets(tmp_path)
    assert await FileStore(tmp_path).load() == KnownTargets()
