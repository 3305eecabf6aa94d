"""Files and folders are private by our own hand, and links, pipes and devices are refused."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from statemachine.daemon.process import hold_lock
from statemachine.journal.opening import open_store
from statemachine.journal.private import DataFolderError
from statemachine.journal.store import JOURNAL_FILE, JournalStore
from statemachine.settings.running_port import LOCK_FILE
from tests.journal.samples import attempt, written

NAMES = (LOCK_FILE, JOURNAL_FILE, f"{JOURNAL_FILE}-wal", f"{JOURNAL_FILE}-shm")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def use(folder: Path) -> dict[str, int]:
    """Hold the lock, write to the journal, and return the modes of the folder and of all files."""
    with hold_lock(folder) as lock:
        store = open_store(folder / JOURNAL_FILE, lambda: 1.0, lock=lock)
        written(store, attempt(), durable=True)
        modes = {one.name: mode(one) for one in (folder, *folder.iterdir())}
        store.close()
    return modes


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_new_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "data"
    assert use(folder) == {"data": 0o700, **dict.fromkeys(NAMES, 0o600)}
    assert mode(tmp_path / "some") == 0o700


def test_existing_files_that_are_too_open_are_narrowed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    use(folder)
    for name in (LOCK_FILE, JOURNAL_FILE):
        (folder / name).chmod(0o666)
    for suffix in ("-wal", "-shm"):
        (folder / f"{JOURNAL_FILE}{suffix}").touch(0o666)
    folder.chmod(0o755)
    assert use(folder) == {"data": 0o700, **dict.fromkeys(NAMES, 0o600)}


def test_folder_with_files_of_others_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "settings.json").touch()
    use(tmp_path)
    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / LOCK_FILE) == 0o600


def test_files_of_another_user_keep_their_mode(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    use(tmp_path)
    (tmp_path / LOCK_FILE).chmod(0o644)
    os.chown(tmp_path / LOCK_FILE, 65_534, 65_534)
    use(tmp_path)
    assert mode(tmp_path / LOCK_FILE) == 0o644


def test_data_folder_that_is_a_link_is_used(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    use(tmp_path / "data")
    assert (tmp_path / "disk" / JOURNAL_FILE).is_file()


def link(path: Path) -> None:
    path.symlink_to(path.with_name("target"))
    path.with_name("target").write_text("precious", encoding="ascii")


def dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("created elsewhere"))


def hard_link(path: Path) -> None:
    path.with_name("target").write_text("precious", encoding="ascii")
    path.hardlink_to(path.with_name("target"))


PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "link": (link, "symbolic link"),
    "dangling-link": (dangling_link, "symbolic link"),
    "hard-link": (hard_link, "2 names"),
    "pipe": (os.mkfifo, "pipe"),
    "socket": (lambda path: os.mknod(path, stat.S_IFSOCK | 0o600), "socket"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("plant", "words"), PLANTED.values(), ids=PLANTED)
def test_planted_file_is_refused(tmp_path: Path, name: str, plant: Callable[[Path], None], words: str) -> None:
    """Nothing is followed, truncated or waited for, and the error names the file."""
    plant(tmp_path / name)
    with pytest.raises(DataFolderError, match=words) as caught:
        use(tmp_path)
    assert str(tmp_path / name) in str(caught.value)
    target = tmp_path / "target"
    assert not target.exists() or target.read_text(encoding="ascii") == "precious"
    assert not (tmp_path / "created elsewhere").exists()


@pytest.mark.parametrize(("plant", "words"), [PLANTED["link"], PLANTED["pipe"]], ids=["link", "pipe"])
def test_reader_of_planted_file_is_refused(tmp_path: Path, plant: Callable[[Path], None], words: str) -> None:
    plant(tmp_path / JOURNAL_FILE)
    with pytest.raises(DataFolderError, match=words):
        JournalStore(tmp_path / JOURNAL_FILE, read_only=True)
