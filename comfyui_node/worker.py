"""Whether the thread in which ComfyUI runs prompts is alive, and whether it works.

When a node or a plug-in ends it, ComfyUI goes on accepting prompts and runs none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import comfy

TASKS = Path("/proc/self/task")
USER, SYSTEM = 11, 12
"""Positions of a thread's processor times in its `stat`, after its name. proc(5) counts them from 14."""
MAX_STEP = 200

TARGET = "(prompt_worker)"
"""Python names a thread after its function; ComfyUI's main.py starts `prompt_worker` in one."""


class Worker:
    """The worker thread, once it was seen."""

    def __init__(self, threads: Callable[[], Iterable[threading.Thread]] = threading.enumerate) -> None:
        self._threads = threads
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Look for the thread, which starts after the custom nodes."""
        if self._thread is None:
            self._thread = next((one for one in self._threads() if TARGET in one.name), None)

    @property
    def is_alive(self) -> bool | None:
        """Whether the thread is alive, None if it was never seen."""
        return None if self._thread is None else self._thread.is_alive()

    def activity(self, tasks: Path = TASKS) -> dict[str, Any]:
        """Return what shows that the thread works: its processor time, and the step that it is at."""
        return {"cpu_s": self._cpu_s(tasks), "step": comfy.running_step()[:MAX_STEP]}

    def _cpu_s(self, tasks: Path) -> float | None:
        """Return the thread's processor time in seconds, None where the system does not count it by thread."""
        if self._thread is None or not self._thread.is_alive():
            return None
        try:
            times = (tasks / str(self._thread.native_id) / "stat").read_text().rpartition(")")[2].split()
            return (int(times[USER]) + int(times[SYSTEM])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return None
