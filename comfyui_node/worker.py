"""Whether the thread in which ComfyUI runs prompts is alive.

When a node or a plug-in ends it, ComfyUI goes on accepting prompts and runs none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

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
