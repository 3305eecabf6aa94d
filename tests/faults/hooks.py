"""A restart hook for tests: a small program that notes each run of it, and may do more."""

import sys
from pathlib import Path

from tests.support.daemon import Json

SCRIPT = """\
import os, sys, time
with open(sys.argv[1], "a") as runs:
    runs.write(os.environ["COMFYWARM_SERVER"] + " " + os.environ["COMFYWARM_RESTART_ID"] + "\\n")
"""


class HookProgram:
    """A command that notes the server of each run in a file, before it runs the lines `then`."""

    def __init__(self, folder: Path, then: str = "") -> None:
        self._script, self._file = folder / "hook.py", folder / "hook.runs"
        self._script.write_text(SCRIPT + then, encoding="utf-8")

    @property
    def command(self) -> list[str]:
        """The value of `restart.command`."""
        return [sys.executable, str(self._script), str(self._file)]

    @property
    def servers(self) -> list[str]:
        """The server of each run, oldest first."""
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        return [line.partition(" ")[0] for line in lines]

    def settings(self, **keys: object) -> Json:
        """Return a section `restart` with this command, and limits that suit a test."""
        return {"command": self.command, "drain_timeout_s": 30, "return_timeout_s": 30, **keys}
