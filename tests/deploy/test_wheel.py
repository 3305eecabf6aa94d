"""The wheel: it holds every file that the installed package needs."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from tests.support.paths import REPOSITORY, WORKFLOWS


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_contains_code_page_workflows_and_node(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, timeout=50)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    expected = {f"statemachine/{name}" for name in files_below(REPOSITORY / "statemachine")}
    expected |= {f"statemachine/bundled_workflows/{name}" for name in files_below(WORKFLOWS)}
    expected |= {f"statemachine/bundled_node/{name}" for name in files_below(REPOSITORY / "comfyui_node")}
    expected |= {"comfywarm.py"}
    assert expected - names == set()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"statemachine", "comfywarm", "comfywarm.py"}
