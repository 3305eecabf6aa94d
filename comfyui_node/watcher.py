"""Notices every change of what is cached, and tells all /ws clients with one small frame.

ComfyUI and Inspire-Pack announce nothing, and hooks into their inside would break with the next release. So the little
that matters is read again every few milliseconds, in ComfyUI's own event loop: some microseconds each time.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from . import comfy
from .caches import present_keys

FRAME = "comfywarm.cache"
LOOK_EVERY_S = 0.02
MAX_KEYS = 500
"""Keys that a frame holds at most; with more it says `truncated`."""

log = logging.getLogger("comfywarm")


class Watcher:
    """Knows this life of the server (`instance`), its frames (`sequence`), and what was cached at the last look."""

    def __init__(self) -> None:
        self.instance = uuid.uuid4().hex
        self.sequence = 0
        self.changes = 0
        """How often `keys` has changed."""
        self.keys: list[str] = present_keys() or []
        self._models = comfy.loaded_bytes()

    async def watch(self) -> None:
        """Look for ever. A look that fails is logged once, and looking goes on."""
        complained = False
        while True:
            try:
                self.look()
            except Exception:
                if not complained:
                    log.exception("comfywarm could not look at the caches; it goes on trying")
                complained = True
            await asyncio.sleep(LOOK_EVERY_S)

    def look(self) -> None:
        """Compare with the last look, and tell what is different. Only in the server's loop."""
        keys = present_keys()
        if keys is None:
            return
        before, self.keys = self.keys, keys
        unloaded = self._has_unloaded()
        if keys != before:
            self.changes += 1
            self.tell(_change(before, keys))
        elif unloaded:
            self.tell("unloaded")

    def tell(self, change: str) -> None:
        """Send the frame."""
        self.sequence += 1
        data: dict[str, Any] = {"comfywarm": 1, "instance": self.instance, "sequence": self.sequence, "change": change}
        data["present"] = self.keys[:MAX_KEYS]
        if len(self.keys) > MAX_KEYS:
            data["truncated"] = True
        comfy.send(FRAME, data)

    def _has_unloaded(self) -> bool:
        """Whether any model holds less memory than at the last look."""
        before, self._models = self._models, comfy.loaded_bytes()
        return any(self._models.get(model, 0) < held for model, held in before.items())


def _change(before: list[str], after: list[str]) -> str:
    if not after:
        return "cleared"
    return "evicted" if set(before) - set(after) else "loaded"
