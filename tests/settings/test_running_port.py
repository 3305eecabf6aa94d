"""The port of a running daemon, in the lock of its data folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from statemachine.settings.running_port import LOCK_FILE, running_port, showing_port


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[int]:
    """Open the lock of an empty folder."""
    descriptor = os.open(tmp_path / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def test_port_is_shown_until_the_daemon_stops(tmp_path: Path, lock: int) -> None:
    with showing_port(lock, 9000):
        assert running_port(tmp_path) == 9000
    assert running_port(tmp_path) is None


def test_port_after_a_crash_is_replaced_by_a_shorter_one(tmp_path: Path, lock: int) -> None:
    os.write(lock, b"65535\n")
    with showing_port(lock, 80):
        assert running_port(tmp_path) == 80


@pytest.mark.parametrize("content", [b"", b"0", b"65536", b"-1", b"80 81", b"\xd9\xa8\n", b"9" * 40, b"\0\0"])
def test_other_content_shows_no_port(tmp_path: Path, lock: int, content: bytes) -> None:
    os.write(lock, content)
    assert running_port(tmp_path) is None


def test_folder_without_a_readable_lock_shows_no_port(tmp_path: Path) -> None:
    assert running_port(tmp_path) is None
    assert running_port(tmp_path / "absent") is None
    (tmp_path / LOCK_FILE).mkdir()
    assert running_port(tmp_path) is None


def test_lock_that_is_a_link_shows_no_port(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("9000")
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / "elsewhere")
    assert running_port(tmp_path) is None
