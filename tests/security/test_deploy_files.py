"""The files in deploy/systemd and deploy/docker match docs/security.md and docs/operations.md."""

import json
import re
import shutil
import subprocess
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest

from statemachine.settings import parse_settings
from tests.support.paths import DEPLOY, REPOSITORY

DOCKER = DEPLOY / "docker"
UNIT = DEPLOY / "systemd" / "comfywarm.service"
CONTAINERFILE = (DOCKER / "Containerfile").read_text(encoding="utf-8")


def unit_options() -> dict[str, list[str]]:
    """Return every option of the unit with its values, in order."""
    options: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            options.setdefault(name, []).append(value)
    return options


def test_unit_declares_notify_watchdog_reload_and_restart() -> None:
    options = unit_options()
    assert options["Type"] == ["notify"]
    assert options["WatchdogSec"] == ["60s"]
    assert options["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert options["Restart"] == ["always"]
    assert (options["TimeoutStopSec"], options["StartLimitIntervalSec"]) == (["20s"], ["0"])


HARDENED = {
    "User": "comfywarm",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "MemoryDenyWriteExecute": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "UMask": "0077",
    "LimitCORE": "0",
}


@pytest.mark.parametrize("name", HARDENED)
def test_unit_is_hardened(name: str) -> None:
    assert unit_options()[name] == [HARDENED[name]]


@pytest.mark.deploy
def test_unit_passes_systemd_analyze(tmp_path: Path) -> None:
    """Check a copy that runs `true`, because comfywarm is not installed here."""
    program = shutil.which("true")
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?<=ExecStart=)\S+", str(program), UNIT.read_text(encoding="utf-8")), encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    # The scale is in tenths: 0 is sealed, 100 is open. The rest of the exposure is network access.
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(copy)]
    exposure = subprocess.run(security, capture_output=True, text=True, check=False)
    assert exposure.returncode == 0, exposure.stdout


def instructions(name: str) -> list[str]:
    """Return the arguments of every instruction with this name, with continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", CONTAINERFILE, flags=re.MULTILINE))
    return [line.partition(" ")[2] for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_image_has_one_base_and_runs_unprivileged() -> None:
    assert instructions("ARG") == ["BASE=python:3.12-slim"]
    assert {one.split()[0] for one in instructions("FROM")} == {"${BASE}"}
    assert instructions("USER") == ["10001:10001"]
    assert "://" not in CONTAINERFILE
    assert len(instructions("HEALTHCHECK")) == 1


def test_image_installs_only_hash_pinned_packages() -> None:
    installs = [one for run in instructions("RUN") for one in run.split("&&") if "pip install" in one]
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)


def test_image_pins_every_build_package() -> None:
    found = re.search(r"keep = /\^\((.+?)\)==/", CONTAINERFILE)
    assert found is not None
    installed = set(found[1].split("|"))
    backends = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    needed, new = set[str](), {*backends, "setuptools"}
    while new:
        needed |= new
        new = {_name(one) for name in new for one in requires(name) or [] if ";" not in one} - needed
    assert installed == needed
    pinned = (REPOSITORY / "requirements-dev.txt").read_text(encoding="utf-8")
    assert all(f"\n{name}==" in f"\n{pinned}" for name in installed)


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~ ;\[]", requirement)[0].lower()


def test_image_copies_only_existing_and_unignored_files() -> None:
    ignored = (DOCKER / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    for copied in instructions("COPY"):
        if not copied.startswith("--from="):
            for source in copied.split()[:-1]:
                assert (REPOSITORY / source).exists(), source
                assert f"!{source}" in ignored, source


def test_image_copies_every_file_of_the_wheel() -> None:
    """The wheel's build names its files; a missing one ends the build, or leaves a command that cannot start."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["only-include"], *wheel["force-include"], project["project"]["readme"]}
    needed |= set(project["project"]["license-files"])
    copied = {source for one in instructions("COPY") if not one.startswith("--from=") for source in one.split()[:-1]}
    assert needed - copied == set()


def test_container_mounts_are_read_only() -> None:
    compose = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    for line in ("read_only: true", "cap_drop: [ALL]", '"no-new-privileges:true"', '"127.0.0.1:8799:8799"'):
        assert line in compose
    mounted = re.findall(r"- \./\S+", compose)
    assert mounted
    assert all(one.endswith(":ro") for one in mounted)


def test_container_example_settings_are_valid() -> None:
    data = json.loads((DOCKER / "settings.example.json").read_text(encoding="utf-8"))
    settings = parse_settings(data, Path("/etc/comfywarm"), {"COMFYWARM_TOKEN": "x" * 32})
    assert settings.listen.token is not None
    assert str(settings.data_dir) == "/var/lib/comfywarm"


def test_check_of_the_image_builds_the_shipped_file_and_runs_its_user() -> None:
    script = (DOCKER / "check.sh").read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(DOCKER / "check.sh")], check=True, timeout=20)
    assert "-f deploy/docker/Containerfile" in script
    assert f"--userspec={instructions('USER')[0]}" in script
    assert (
        json.loads(script.partition("<<'SETTINGS'\n")[2].partition("\nSETTINGS")[0])["data_dir"] == "/var/lib/comfywarm"
    )
