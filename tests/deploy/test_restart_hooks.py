"""The examples of restart hooks in deploy/restart."""

import subprocess
from pathlib import Path

import pytest

from tests.support.paths import DEPLOY


def run_kubectl(folder: Path, server: str) -> subprocess.CompletedProcess[str]:
    """Run the hook for a server, with a kubectl that prints its arguments."""
    program = folder / "kubectl"
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "COMFYWARM_SERVER": server}
    hook = DEPLOY / "restart" / "kubectl"
    return subprocess.run([hook], env=environ, capture_output=True, text=True, check=False, timeout=20)


@pytest.mark.parametrize("server", ["comfyui-0", "comfyui-0.comfyui-all:8188", "comfyui-0:8188"])
def test_kubectl_deletes_the_pod_of_the_server(tmp_path: Path, server: str) -> None:
    done = run_kubectl(tmp_path, server)
    assert (done.returncode, done.stdout) == (0, "delete pod --wait=false -- comfyui-0\n")


@pytest.mark.parametrize("server", ["10.1.2.3:8188", "10.1.2.3", "[fd00::1]:8188", ""])
def test_kubectl_refuses_a_name_that_is_an_address(tmp_path: Path, server: str) -> None:
    done = run_kubectl(tmp_path, server)
    assert (done.returncode, done.stdout) == (64, "")
    assert "set name_label to pod in its source" in done.stderr
