"""Restart hooks for tests: small programs that do something to a simulated server, by a file or a request."""

import sys
from pathlib import Path

from statemachine.simulator import SimServer
from tests.support.daemon import Json
from tests.support.polling import wait_until

SCRIPT = """
import os, sys
with open(sys.argv[1], "a") as runs:
    runs.write(os.environ["COMFYWARM_SERVER"] + " " + os.environ["COMFYWARM_RESTART_ID"] + "\\n")
{then}
"""


class HookProgram:
    """A command that notes each run of it in a file; a test does the rest."""

    def __init__(self, folder: Path, then: str = "") -> None:
        self._script, self._file = folder / "hook.py", folder / "hook.runs"
        self._script.write_text(SCRIPT.format(then=then), encoding="utf-8")

    @property
    def command(self) -> list[str]:
        """The value of `restart.command`."""
        return [sys.executable, str(self._script), str(self._file)]

    @property
    def runs(self) -> list[str]:
        """The server and the restart of each run, oldest first."""
        return self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []

    def settings(self, **keys: object) -> Json:
        """Return a section `restart` with this command and short time limits."""
        return {"command": self.command, "drain_timeout_s": 20, "return_timeout_s": 20, "hook_timeout_s": 10, **keys}

    async def restarts(self, server: SimServer, *, down_s: float = 0.0) -> None:
        """Restart the server once the hook has run."""
        await wait_until(lambda: bool(self.runs))
        await server.go_down()
        await wait_until(lambda: True)
        await server.come_back()
