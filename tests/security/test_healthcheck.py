"""Docker's health check connects to the daemon that the settings describe."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from statemachine.client import DaemonUnavailableError
from tests.cli.rig import small_daemon
from tests.support.paths import DEPLOY


def healthcheck() -> ModuleType:
    spec = spec_from_file_location("healthcheck", DEPLOY / "docker" / "healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_healthcheck_succeeds_only_while_daemon_runs(tmp_path: Path) -> None:
    async with small_daemon(tmp_path, token="a-token-of-some-length") as daemon:
        settings = daemon.settings()
        await healthcheck().check(settings)
        assert daemon.requests == ["/healthz"]
    with pytest.raises(DaemonUnavailableError):
        await healthcheck().check(settings)
