"""Files that would never end, or not fit into memory, are refused at once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine.cli.wording import language_of_file
from statemachine.comfyui.workflow import WorkflowError, load_workflow
from statemachine.settings import SettingsError, SettingsFileError, load_settings
from statemachine.settings.explain import MAX_EXPLAINED
from statemachine.settings.load import MAX_BYTES

ENDLESS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "folder": (Path.mkdir, "is a directory"),
    "link-to-itself": (lambda path: path.symlink_to(path.name), "too many levels of symbolic links"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_settings_file_is_refused(tmp_path: Path, kind: str) -> None:
    create, cause = ENDLESS[kind]
    path = tmp_path / "settings.json"
    create(path)
    with pytest.raises(SettingsFileError, match=cause):
        load_settings(path, {})
    assert language_of_file(path) in {"en", "zh"}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_workflow_file_is_refused(tmp_path: Path, kind: str) -> None:
    create, cause = ENDLESS[kind]
    path = tmp_path / "warm.json"
    create(path)
    with pytest.raises(WorkflowError, match=f"(?i){cause}"):
        load_workflow(path)


def test_settings_file_above_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.touch()
    os.truncate(path, 2**40)
    with pytest.raises(SettingsFileError, match=f"larger than {MAX_BYTES} bytes"):
        load_settings(path, {})


def test_faults_beyond_the_limit_are_not_explained(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(f'{{"servers": [{",".join(["{}"] * 30_000)}]}}', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path, {})
    assert len(caught.value.problems) == MAX_EXPLAINED
