"""The wheel and the sdist hold every file that is needed, and install as users install them."""

import os
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.paths import REPOSITORY, WORKFLOWS
from tests.support.ports import free_port

SECONDS = 150


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def run(*command: str | Path, cwd: Path = REPOSITORY, environment: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return its output. Fail with all of it if the command fails."""
    ended = subprocess.run(
        command,
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def built(kind: str, source: Path, folder: Path) -> Path:
    """Build a wheel or an sdist from the source and return its file."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder, cwd=source)
    (file,) = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


def names_in(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built from the sdist, in another folder than the checkout."""
    folder = tmp_path_factory.mktemp("built")
    sdist = built("sdist", REPOSITORY, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    return built("wheel", source, folder)


def test_wheel_contains_code_page_workflows_and_node(tmp_path: Path) -> None:
    names = names_in(built("wheel", REPOSITORY, tmp_path))
    expected = {f"statemachine/{name}" for name in files_below(REPOSITORY / "statemachine")}
    expected |= {f"statemachine/bundled_workflows/{name}" for name in files_below(WORKFLOWS)}
    expected |= {f"statemachine/bundled_node/{name}" for name in files_below(REPOSITORY / "comfyui_node")}
    expected |= {"comfywarm.py"}
    assert expected - names == set()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"statemachine", "comfywarm", "comfywarm.py"}


def test_wheel_from_the_sdist_has_the_same_files(wheel: Path, tmp_path: Path) -> None:
    assert names_in(wheel) == names_in(built("wheel", REPOSITORY, tmp_path))


def test_sdist_contains_tests_docs_and_deploy_but_no_results(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", REPOSITORY, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "requirements.txt"} <= names
    for folder in ("deploy", "docs", "workflows"):
        assert {f"{folder}/{name}" for name in files_below(REPOSITORY / folder)} - names == set()
    assert not [name for name in names if name.startswith((".git/", ".venv", "data/", "logs/"))]


@contextmanager
def demo(command: Path, folder: Path) -> Iterator[str]:
    """Run `serve --demo` of an installed command in an empty folder; yield its address."""
    port = free_port()
    arguments = (command, "serve", "--demo", "--port", str(port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(SECONDS) == 0, (folder / "log").read_text("utf-8")


WAIT = """
import sys, time
from statemachine.client import DaemonUnavailableError, SyncFleet

with SyncFleet(sys.argv[1]) as fleet:
    deadline = time.monotonic() + 60
    while True:
        try:
            fleet.wait_until_warm(at_least=3, timeout_s=60)
            break
        except DaemonUnavailableError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
"""


def check_installed(command: Path, python: Path, folder: Path) -> None:
    """Check that the command works in an empty folder: version, settings, workflows, node, demo, page and client."""
    folder.mkdir()
    assert run(command, "--version", cwd=folder).startswith("comfywarm ")
    run(command, "init", cwd=folder)
    run(command, "add", "http://127.0.0.1:9", cwd=folder)
    (folder / "ComfyUI" / "custom_nodes").mkdir(parents=True)
    run(command, "node", "install", folder / "ComfyUI", cwd=folder)
    assert (folder / "ComfyUI" / "custom_nodes" / "comfywarm" / "nodes.py").exists()
    demo_folder = folder / "demo"
    demo_folder.mkdir()
    with demo(command, demo_folder) as address:
        run(python, "-c", WAIT, address, cwd=demo_folder)
        run(python, "-c", f"import urllib.request as u; u.urlopen('{address}/status')", cwd=demo_folder)


def uv(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> None:
    run(sys.executable, "-m", "uv", *arguments, environment=environment)


def settings_of_uv(folder: Path) -> dict[str, str]:
    return {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin"), "UV_PYTHON": sys.executable}


@pytest.mark.deploy
@pytest.mark.timeout(SECONDS)
def test_wheel_with_pinned_packages_works_in_a_clean_venv(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    uv("pip", "install", "--python", python, "--require-hashes", "-r", "requirements.txt")
    uv("pip", "install", "--python", python, "--no-deps", "--offline", wheel)
    check_installed(tmp_path / "venv" / "bin" / "comfywarm", python, tmp_path / "empty")


@pytest.mark.deploy
@pytest.mark.timeout(SECONDS)
def test_wheel_works_as_a_tool_of_uv(wheel: Path, tmp_path: Path) -> None:
    uv("tool", "install", wheel, environment=settings_of_uv(tmp_path))
    python = tmp_path / "tools" / "comfywarm" / "bin" / "python"
    check_installed(tmp_path / "bin" / "comfywarm", python, tmp_path / "empty")


@pytest.mark.deploy
@pytest.mark.timeout(SECONDS)
def test_wheel_works_with_pipx(wheel: Path, tmp_path: Path) -> None:
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "PIPX_DEFAULT_BACKEND": "pip"}
    run(sys.executable, "-m", "pipx", "install", "--python", sys.executable, wheel, environment=places)
    python = tmp_path / "pipx" / "venvs" / "comfywarm" / "bin" / "python"
    check_installed(tmp_path / "bin" / "comfywarm", python, tmp_path / "empty")
