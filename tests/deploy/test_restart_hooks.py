"""The examples of restart hooks in deploy/restart, with stand-ins for the programs that they call."""

import subprocess
from pathlib import Path

import pytest

from tests.support.paths import DEPLOY


def run_hook(
    folder: Path, hook: str, program: str, server: str = "gpu-1", url: str = "http://gpu-1:8188", *, status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the hook for a server, with a program that prints its arguments and ends with this status."""
    path = folder / program
    path.write_text(f'#!/bin/sh\necho "$@"\nexit {status}\n')
    path.chmod(0o755)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "COMFYWARM_SERVER": server, "COMFYWARM_SERVER_URL": url}
    return subprocess.run(
        [DEPLOY / "restart" / hook], env=environ, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize("server", ["comfyui-0", "comfyui-0.comfyui-all:8188", "comfyui-0:8188"])
def test_kubectl_deletes_the_pod_of_the_server(tmp_path: Path, server: str) -> None:
    done = run_hook(tmp_path, "kubectl", "kubectl", server)
    assert (done.returncode, done.stdout) == (0, "delete pod --wait=false -- comfyui-0\n")


@pytest.mark.parametrize("server", ["comfyui", "comfyui:8188"])
def test_docker_restarts_the_container_of_the_server(tmp_path: Path, server: str) -> None:
    done = run_hook(tmp_path, "docker", "docker", server)
    assert (done.returncode, done.stdout) == (0, "restart -t 30 -- comfyui\n")


@pytest.mark.parametrize("server", ["10.1.2.3:8188", "10.1.2.3", "[fd00::1]:8188", ""])
@pytest.mark.parametrize(("program", "advice"), [("kubectl", "set name_label to pod"), ("docker", "container's name")])
def test_name_that_is_an_address_is_refused(tmp_path: Path, program: str, advice: str, server: str) -> None:
    done = run_hook(tmp_path, program, program, server)
    assert (done.returncode, done.stdout) == (64, "")
    assert advice in done.stderr


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://gpu-1:8188", "gpu-1"),
        ("https://gpu-1.lab.example/comfy", "gpu-1.lab.example"),
        ("http://10.1.2.3:8188", "10.1.2.3"),
        ("http://[fd00::1]:8188", "fd00::1"),
        ("http://-oProxyCommand=x:8188", "-oProxyCommand=x"),
    ],
)
def test_ssh_restarts_the_unit_on_the_host_of_the_url(tmp_path: Path, url: str, host: str) -> None:
    """A host that looks like an option stays a host."""
    done = run_hook(tmp_path, "systemd-over-ssh", "ssh", url=url)
    expected = f"-o BatchMode=yes -o ConnectTimeout=10 -- {host} sudo systemctl restart comfyui\n"
    assert (done.returncode, done.stdout) == (0, expected)


@pytest.mark.parametrize(
    ("hook", "program"), [("kubectl", "kubectl"), ("docker", "docker"), ("systemd-over-ssh", "ssh")]
)
def test_status_of_the_program_is_that_of_the_hook(tmp_path: Path, hook: str, program: str) -> None:
    assert run_hook(tmp_path, hook, program, status=3).returncode == 3
